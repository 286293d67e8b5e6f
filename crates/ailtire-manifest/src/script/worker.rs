//! Threads for evaluations.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

use super::engine::{self, Job, Request, THREAD_STACK};

/// Threads that wait for an evaluation. They end when this is dropped.
#[derive(Default)]
pub(super) struct Workers {
    idle: Mutex<Vec<Worker>>,
}

/// One thread that evaluates what it is sent, each job in an engine of its own. Dropped, it ends
/// after the job it is at, if that one ends.
pub(super) struct Worker {
    jobs: Sender<Job>,
}

impl Workers {
    /// An idle thread, or else a new one.
    pub(super) fn take(&self) -> io::Result<Worker> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(Worker::start, Ok)
    }

    /// Takes back a thread whose evaluation is over.
    pub(super) fn give_back(&self, worker: Worker) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }
}

impl Worker {
    fn start() -> io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        std::thread::Builder::new().name("definition".to_owned()).stack_size(THREAD_STACK).spawn(
            move || {
                for job in queue {
                    let ran = engine::run(&job);
                    // Nobody listens any more where this evaluation was given up.
                    let _ = job.requests.send(Request::Done(Box::new(ran)));
                }
            },
        )?;
        Ok(Self { jobs })
    }

    /// Starts an evaluation. Where the thread is gone, the job's channel is closed unanswered.
    pub(super) fn run(&self, job: Job) {
        let _ = self.jobs.send(job);
    }
}
