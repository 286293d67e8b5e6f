//! Runs jobs that depend on one another: each as soon as those it needs are done.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobResult<T, E> {
    /// It was done.
    Done(T),
    /// It failed.
    Failed(E),
    /// It was not tried.
    Skipped {
        /// The job that failed and that it needs, directly or not; absent where the run stopped.
        because: Option<usize>,
    },
    /// It was running when the run was cancelled.
    Cancelled,
}

/// How to run jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many jobs may run at once; at least one does.
    pub(crate) jobs: usize,
    /// Whether independent jobs are still started after one failed.
    pub(crate) keep_going: bool,
}

/// Runs every job of a graph without cycles; `dependencies[i]` are the jobs that `i` needs.
///
/// `start` makes the future of a job when all that it needs is done. A failed job keeps those that
/// need it from running; without `keep_going`, or where `is_final` says that no other job can go
/// well either, no further job starts, and those that run go on to their end. When `cancel` is triggered, running jobs are dropped.
///
/// Of the jobs that are ready the one with the lowest number starts first.
pub(crate) async fn schedule<T, E, F>(
    dependencies: &[Vec<usize>],
    limits: Limits,
    cancel: &CancellationToken,
    is_final: impl Fn(&E) -> bool,
    mut start: impl FnMut(usize) -> F,
) -> Vec<JobResult<T, E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut board = Board::new(dependencies);
    let mut running = FuturesUnordered::new();
    let mut results: Vec<Option<JobResult<T, E>>> = dependencies.iter().map(|_| None).collect();
    let mut stopped = false;
    loop {
        stopped |= cancel.is_cancelled();
        while !stopped && running.len() < limits.jobs.max(1) {
            let Some(job) = board.ready.pop_first() else { break };
            board.started[job] = true;
            let future = start(job);
            running.push(async move { (job, future.await) });
        }
        if running.is_empty() {
            break;
        }
        let finished = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            finished = running.next() => finished,
        };
        // The futures still in `running` are dropped on return, which cancels them.
        let Some((job, result)) = finished else { break };
        results[job] = Some(match result {
            Ok(value) => {
                board.release(job);
                JobResult::Done(value)
            }
            Err(error) => {
                stopped |= !limits.keep_going || is_final(&error);
                board.doom(job);
                JobResult::Failed(error)
            }
        });
    }
    let doomed = board.doomed;
    let unfinished = |job: usize| match doomed[job] {
        None if board.started[job] => JobResult::Cancelled,
        because => JobResult::Skipped { because },
    };
    let results = results.into_iter().enumerate();
    results.map(|(job, result)| result.unwrap_or_else(|| unfinished(job))).collect()
}

/// Which jobs are ready, and which never will be.
struct Board {
    dependents: Vec<Vec<usize>>,
    waiting_for: Vec<usize>,
    ready: std::collections::BTreeSet<usize>,
    started: Vec<bool>,
    doomed: Vec<Option<usize>>,
}

impl Board {
    fn new(dependencies: &[Vec<usize>]) -> Self {
        let mut dependents = vec![Vec::new(); dependencies.len()];
        let mut waiting_for = vec![0; dependencies.len()];
        for (job, needed) in dependencies.iter().enumerate() {
            waiting_for[job] = needed.len();
            for &dependency in needed {
                dependents[dependency].push(job);
            }
        }
        let ready = (0..dependencies.len()).filter(|job| waiting_for[*job] == 0).collect();
        let count = dependencies.len();
        Self {
            dependents,
            waiting_for,
            ready,
            started: vec![false; count],
            doomed: vec![None; count],
        }
    }

    fn release(&mut self, job: usize) {
        for &dependent in &self.dependents[job] {
            self.waiting_for[dependent] -= 1;
            if self.waiting_for[dependent] == 0 {
                self.ready.insert(dependent);
            }
        }
    }

    fn doom(&mut self, failed: usize) {
        let mut pending = self.dependents[failed].clone();
        while let Some(job) = pending.pop() {
            if self.doomed[job].is_none() {
                self.doomed[job] = Some(failed);
                pending.extend(&self.dependents[job]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    fn run(
        dependencies: &[Vec<usize>],
        failing: &[usize],
        limits: Limits,
    ) -> (Vec<JobResult<(), ()>>, Vec<usize>, usize) {
        let order = Mutex::new(Vec::new());
        let (running, most) = (Mutex::new(0_usize), Mutex::new(0_usize));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let results = runtime.block_on(schedule(
            dependencies,
            limits,
            &CancellationToken::new(),
            |()| false,
            |job| {
                let (order, running, most) = (&order, &running, &most);
                async move {
                    {
                        let mut running = running.lock().unwrap();
                        *running += 1;
                        let mut highest = most.lock().unwrap();
                        *highest = (*running).max(*highest);
                    }
                    for _ in 0..job % 4 {
                        tokio::task::yield_now().await;
                    }
                    order.lock().unwrap().push(job);
                    *running.lock().unwrap() -= 1;
                    if failing.contains(&job) { Err(()) } else { Ok(()) }
                }
            },
        ));
        (results, order.into_inner().unwrap(), most.into_inner().unwrap())
    }

    fn reaches(dependencies: &[Vec<usize>], job: usize, target: usize) -> bool {
        dependencies[job].iter().any(|&next| next == target || reaches(dependencies, next, target))
    }

    /// Graphs whose edges lead from higher to lower numbers.
    fn graphs() -> impl Strategy<Value = Vec<Vec<usize>>> {
        prop::collection::vec(prop::collection::btree_set(0..12_usize, 0..4), 1..12).prop_map(
            |rows| {
                let rows = rows.into_iter().enumerate();
                rows.map(|(job, row)| row.into_iter().filter(|&lower| lower < job).collect())
                    .collect()
            },
        )
    }

    proptest! {
        #[test]
        fn order_holds_and_only_dependents_of_failures_are_skipped(
            dependencies in graphs(),
            failing in prop::collection::vec(0..12_usize, 0..3),
            jobs in 1..4_usize,
        ) {
            let limits = Limits { jobs, keep_going: true };
            let (results, order, most) = run(&dependencies, &failing, limits);
            prop_assert!(most <= jobs);
            for (job, result) in results.iter().enumerate() {
                let position = order.iter().position(|&ran| ran == job);
                let blocked: Vec<_> = failing
                    .iter()
                    .filter(|&&failed| failed < results.len())
                    .filter(|&&failed| reaches(&dependencies, job, failed))
                    .collect();
                match result {
                    JobResult::Skipped { because } => {
                        prop_assert!(position.is_none());
                        prop_assert!(blocked.contains(&&because.unwrap()));
                    }
                    JobResult::Failed(()) => prop_assert!(failing.contains(&job)),
                    JobResult::Done(()) => {
                        prop_assert!(blocked.is_empty());
                        for needed in &dependencies[job] {
                            prop_assert!(order.iter().position(|ran| ran == needed) < position);
                        }
                    }
                    JobResult::Cancelled => prop_assert!(false, "nothing was cancelled"),
                }
            }
        }
    }

    #[test]
    fn without_keep_going_nothing_starts_after_a_failure() {
        let dependencies = vec![vec![], vec![], vec![1]];
        let (results, order, _) = run(&dependencies, &[0], Limits { jobs: 1, keep_going: false });
        assert_eq!(order, [0]);
        assert_eq!(
            results,
            [
                JobResult::Failed(()),
                JobResult::Skipped { because: None },
                JobResult::Skipped { because: None }
            ]
        );
    }

    #[test]
    fn a_final_failure_stops_the_run_even_where_it_would_go_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let limits = Limits { jobs: 1, keep_going: true };
        let dependencies = vec![vec![]; 4];
        let jobs = |job| async move { if job < 2 { Err(job) } else { Ok(()) } };
        let cancel = CancellationToken::new();
        let is_final = |job: &usize| *job == 1;
        let results = runtime.block_on(schedule(&dependencies, limits, &cancel, is_final, jobs));
        assert_eq!(
            results,
            [
                JobResult::Failed(0),
                JobResult::Failed(1),
                JobResult::Skipped { because: None },
                JobResult::Skipped { because: None },
            ]
        );
    }

    #[test]
    fn cancelling_drops_what_runs_and_keeps_what_is_done() {
        let cancel = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let limits = Limits { jobs: 2, keep_going: false };
        let dependencies = vec![vec![], vec![0], vec![1]];
        let results: Vec<JobResult<usize, ()>> = runtime.block_on(schedule(
            &dependencies,
            limits,
            &cancel,
            |()| false,
            |job| {
                let cancel = cancel.clone();
                async move {
                    if job == 1 {
                        cancel.cancel();
                        std::future::pending::<()>().await;
                    }
                    Ok(job)
                }
            },
        ));
        assert_eq!(
            results,
            [JobResult::Done(0), JobResult::Cancelled, JobResult::Skipped { because: None }]
        );
    }
}
