//! What the classic builder writes, taken apart into steps.

use ailtire_events::{LogStream, StepState};
use bollard::models::BuildInfo;

use crate::progress::Reporter;

/// The output so far.
#[derive(Default)]
pub(super) struct Output {
    line: String,
    current: Option<Step>,
    cached: usize,
    total: usize,
    image_id: Option<String>,
}

/// One step.
pub(super) struct Step {
    /// Counted from 1, over all stages.
    pub(super) number: usize,
    /// As BuildKit would put it: `[2/3] RUN npm ci`.
    pub(super) name: String,
    pub(super) log: String,
    cached: bool,
}

impl Output {
    /// Takes a piece of output, and tells the caller what is new in it.
    pub(super) fn take(&mut self, info: BuildInfo, reporter: &Reporter<'_>) {
        if let Some(id) = info.aux.and_then(|aux| aux.id) {
            self.image_id = Some(id);
        }
        let Some(text) = info.stream else { return };
        // Lines come in pieces, and only whole ones can be told apart.
        for piece in text.split_inclusive('\n') {
            self.line.push_str(piece);
            if piece.ends_with('\n') {
                let line = std::mem::take(&mut self.line);
                self.take_line(line, reporter);
            }
        }
    }

    /// The builder says no more.
    pub(super) fn end(&mut self, well: bool, reporter: &Reporter<'_>) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.take_line(line, reporter);
        }
        self.finish_step(if well { StepState::Completed } else { StepState::Failed }, reporter);
    }

    /// The step that was the last to run.
    pub(super) fn current(&self) -> Option<&Step> {
        self.current.as_ref()
    }

    /// How many steps did not have to run, and how many there were.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.cached, self.total)
    }

    /// The image.
    pub(super) fn into_image_id(self) -> Option<String> {
        self.image_id
    }

    fn take_line(&mut self, line: String, reporter: &Reporter<'_>) {
        if let Some((number, name)) = step_line(&line) {
            self.finish_step(StepState::Completed, reporter);
            self.total += 1;
            self.current = Some(Step { number, name, log: String::new(), cached: false });
        } else if let Some(note) = line.strip_prefix(" ---> ") {
            self.take_note(note.trim_end(), reporter);
        } else if let Some(step) = &mut self.current
            && !is_remark(&line)
        {
            step.log.push_str(&line);
            reporter.log(&step.name, LogStream::Stdout, line);
        }
    }

    fn take_note(&mut self, note: &str, reporter: &Reporter<'_>) {
        let Some(step) = &mut self.current else { return };
        if note == "Using cache" {
            step.cached = true;
            self.cached += 1;
        } else if note.starts_with("Running in ") {
            reporter.step(&step.name, StepState::Started);
        }
    }

    fn finish_step(&mut self, state: StepState, reporter: &Reporter<'_>) {
        let Some(step) = &self.current else { return };
        reporter.step(&step.name, if step.cached { StepState::Cached } else { state });
        if state != StepState::Failed {
            self.current = None;
        }
    }
}

/// Number and name of a step in `Step 2/3 : RUN npm ci`.
fn step_line(line: &str) -> Option<(usize, String)> {
    let (count, text) = line.strip_prefix("Step ")?.split_once(" : ")?;
    let (number, total) = count.split_once('/')?;
    let total: usize = total.parse().ok()?;
    let number = number.parse().ok()?;
    Some((number, format!("[{number}/{total}] {}", text.trim_end())))
}

/// What the builder says of itself.
fn is_remark(line: &str) -> bool {
    let line = line.trim_end();
    line.is_empty()
        || ["Removing intermediate container ", "Successfully built ", "Successfully tagged "]
            .iter()
            .any(|remark| line.starts_with(remark))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::Recorder;

    #[test]
    fn steps_are_taken_out_of_the_output() {
        let recorder = Recorder::default();
        let reporter = Reporter::new("image", &recorder);
        let mut output = Output::default();
        for text in [
            "Step 1/3 : FROM scratch",
            "\n",
            " ---> \n",
            "Step 2/3 : COPY . /\n ---> Using cache\n ---> abc\n",
            "Step 3/3 : RUN exit 3\n",
            " ---> Running in abc\n",
            "on",
            "e\ntwo",
        ] {
            let info = BuildInfo { stream: Some(text.to_owned()), ..BuildInfo::default() };
            output.take(info, &reporter);
        }
        output.end(false, &reporter);
        assert_eq!(
            *recorder.0.lock().unwrap(),
            [
                "[1/3] FROM scratch Completed",
                "[2/3] COPY . / Cached",
                "[3/3] RUN exit 3 Started",
                "[3/3] RUN exit 3: one\n",
                "[3/3] RUN exit 3: two",
                "[3/3] RUN exit 3 Failed",
            ]
        );
        assert_eq!(output.counts(), (1, 3));
        assert_eq!(output.current().unwrap().log, "one\ntwo");
    }
}
