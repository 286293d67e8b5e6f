//! Answers that go on: the engine's events, and what containers write.

use std::pin::Pin;

use ailtire_events::LogStream;
use bytes::{Buf, BytesMut};
use futures_util::{Stream, StreamExt};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::api::ApiRequest;
use crate::{Engine, EngineError};

/// What comes one after the other until the engine ends it.
pub type ApiStream<T> = Pin<Box<dyn Stream<Item = Result<T, EngineError>> + Send>>;

/// A piece of what a container wrote: a line, or what is left of one at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it was written.
    pub stream: LogStream,
    /// The text without the end of the line. With `timestamps` and `details` it begins with those,
    /// each followed by a space.
    pub text: String,
}

/// The longest frame or line that is believed to be one.
const LONGEST: usize = 16 * 1024 * 1024;

impl ApiRequest<'_> {
    /// Asks, and reads JSON values one after the other (`/events`).
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses; later ones come through the stream.
    pub async fn json_stream(self) -> Result<ApiStream<Value>, EngineError> {
        self.decoded(Lines).await
    }

    /// Asks, and reads what containers write (`/services/{id}/logs`, `/tasks/{id}/logs`). `tty` is
    /// whether they have a terminal: then there is one stream, and nothing says which.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the engine refuses; later ones come through the stream.
    pub async fn log_stream(self, tty: bool) -> Result<ApiStream<LogLine>, EngineError> {
        if tty { self.decoded(Terminal).await } else { self.decoded(Frames::default()).await }
    }

    async fn decoded<D: Decode>(self, decoder: D) -> Result<ApiStream<D::Item>, EngineError> {
        let engine = self.engine().clone();
        let body = self.send().await?.into_body();
        let state = Reading { engine, body, buffer: BytesMut::new(), decoder, ended: false };
        Ok(futures_util::stream::unfold(state, |mut state| async {
            let item = state.next().await?;
            Some((item, state))
        })
        .boxed())
    }
}

/// Takes items out of what was received.
trait Decode: Send + 'static {
    type Item: Send + 'static;
    /// The next item, if `buffer` holds all of it; `ended` is whether nothing more comes.
    fn decode(&mut self, buffer: &mut BytesMut, ended: bool) -> Result<Option<Self::Item>, Bad>;
}

/// Why an item is none.
enum Bad {
    /// It makes no sense.
    Protocol(String),
    /// The engine says that it failed while it answered.
    Engine(String),
}

struct Reading<D> {
    engine: Engine,
    body: Incoming,
    buffer: BytesMut,
    decoder: D,
    ended: bool,
}

impl<D: Decode> Reading<D> {
    async fn next(&mut self) -> Option<Result<D::Item, EngineError>> {
        loop {
            match self.decoder.decode(&mut self.buffer, self.ended) {
                Ok(Some(item)) => return Some(Ok(item)),
                Ok(None) if self.ended => return None,
                Ok(None) if self.buffer.len() > LONGEST => {
                    let bad = Bad::Protocol("a line has no end".to_owned());
                    return Some(Err(self.fail(bad)));
                }
                Ok(None) => {}
                Err(bad) => return Some(Err(self.fail(bad))),
            }
            match self.body.frame().await {
                None => self.ended = true,
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    self.end();
                    return Some(Err(self.engine.http().lost(&error)));
                }
            }
        }
    }

    fn fail(&mut self, bad: Bad) -> EngineError {
        self.end();
        match bad {
            Bad::Protocol(why) => self.engine.http().protocol(&why),
            Bad::Engine(message) => EngineError::from_api(500, message),
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.buffer.clear();
    }
}

/// JSON values, one a line.
struct Lines;

impl Decode for Lines {
    type Item = Value;

    fn decode(&mut self, buffer: &mut BytesMut, ended: bool) -> Result<Option<Value>, Bad> {
        while let Some(line) = take_line(buffer, ended) {
            if !line.iter().all(u8::is_ascii_whitespace) {
                let value = serde_json::from_slice(&line);
                return value.map(Some).map_err(|error| Bad::Protocol(error.to_string()));
            }
        }
        Ok(None)
    }
}

/// A terminal's output.
struct Terminal;

impl Decode for Terminal {
    type Item = LogLine;

    fn decode(&mut self, buffer: &mut BytesMut, ended: bool) -> Result<Option<LogLine>, Bad> {
        Ok(take_line(buffer, ended).map(|line| log_line(LogStream::Stdout, &line)))
    }
}

/// Output in frames of eight bytes of header: which stream, three zeros, the length.
#[derive(Default)]
struct Frames {
    stdout: BytesMut,
    stderr: BytesMut,
}

impl Decode for Frames {
    type Item = LogLine;

    fn decode(&mut self, buffer: &mut BytesMut, ended: bool) -> Result<Option<LogLine>, Bad> {
        loop {
            let only_frames_are_done = ended && buffer.len() < 8;
            for (stream, text) in
                [(LogStream::Stdout, &mut self.stdout), (LogStream::Stderr, &mut self.stderr)]
            {
                if let Some(line) = take_line(text, only_frames_are_done) {
                    return Ok(Some(log_line(stream, &line)));
                }
            }
            let Some(header) = buffer.first_chunk::<8>() else { return Ok(None) };
            let [stream, _, _, _, length @ ..] = *header;
            let length = u32::from_be_bytes(length) as usize;
            if stream > 3 || length > LONGEST {
                return Err(Bad::Protocol("what a container wrote comes in no frames".to_owned()));
            }
            if buffer.len() < 8 + length {
                if ended {
                    buffer.clear();
                    continue;
                }
                return Ok(None);
            }
            buffer.advance(8);
            let text = buffer.split_to(length);
            match stream {
                2 => self.stderr.extend_from_slice(&text),
                3 => return Err(Bad::Engine(String::from_utf8_lossy(&text).trim().to_owned())),
                _ => self.stdout.extend_from_slice(&text),
            }
        }
    }
}

/// The next line without its end; what is left counts as one where nothing more comes.
fn take_line(buffer: &mut BytesMut, ended: bool) -> Option<BytesMut> {
    if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
        let line = buffer.split_to(end);
        buffer.advance(1);
        return Some(line);
    }
    (ended && !buffer.is_empty()).then(|| buffer.split())
}

fn log_line(stream: LogStream, line: &[u8]) -> LogLine {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    LogLine { stream, text: String::from_utf8_lossy(line).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0], &length[..], text.as_bytes()].concat()
    }

    /// What a decoder makes of `bytes` that come in pieces of `size`.
    fn decode<D: Decode>(
        mut decoder: D,
        bytes: &[u8],
        size: usize,
    ) -> Result<Vec<D::Item>, String> {
        let mut buffer = BytesMut::new();
        let mut items = Vec::new();
        let pieces = bytes.chunks(size).map(Some).chain([None]);
        for piece in pieces {
            buffer.extend_from_slice(piece.unwrap_or_default());
            loop {
                match decoder.decode(&mut buffer, piece.is_none()) {
                    Ok(Some(item)) => items.push(item),
                    Ok(None) => break,
                    Err(Bad::Protocol(why) | Bad::Engine(why)) => return Err(why),
                }
            }
        }
        Ok(items)
    }

    #[test]
    fn frames_become_lines_however_they_are_cut() {
        let bytes = [frame(1, "one\ntw"), frame(2, "bad\r\n"), frame(1, "o\n\nend")].concat();
        let expected = [
            (LogStream::Stdout, "one"),
            (LogStream::Stderr, "bad"),
            (LogStream::Stdout, "two"),
            (LogStream::Stdout, ""),
            (LogStream::Stdout, "end"),
        ];
        for size in [1, 3, 8, 100] {
            let lines = decode(Frames::default(), &bytes, size).unwrap();
            let lines: Vec<_> =
                lines.iter().map(|line| (line.stream, line.text.as_str())).collect();
            assert_eq!(lines, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn an_error_of_the_engine_amid_frames_is_one() {
        let bytes = [frame(1, "one\n"), frame(3, "error grabbing logs\n")].concat();
        assert_eq!(decode(Frames::default(), &bytes, 4).unwrap_err(), "error grabbing logs");
        assert!(decode(Frames::default(), b"no frames at all", 4).is_err());
    }

    #[test]
    fn a_frame_that_was_cut_off_is_dropped() {
        let bytes = [frame(1, "one\ntwo"), frame(1, "three")[..10].to_vec()].concat();
        let lines = decode(Frames::default(), &bytes, 100).unwrap();
        assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn json_values_come_one_a_line() {
        let values = decode(Lines, b"{\"a\":1}\r\n\n{\"b\":2}", 3).unwrap();
        assert_eq!(values, [serde_json::json!({"a": 1}), serde_json::json!({"b": 2})]);
        assert!(decode(Lines, b"{\n", 3).is_err());
    }

    #[test]
    fn a_terminal_has_one_stream() {
        let lines = decode(Terminal, b"one\r\ntwo", 2).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], LogLine { stream: LogStream::Stdout, text: "one".to_owned() });
    }
}
