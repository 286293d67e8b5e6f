//! Ctrl-C and SIGTERM: the first one cancels, the second one ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use ailtire::CancellationToken;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Failure;
use crate::exit;
use crate::printer::Reporter;
use crate::printer::style::{NOTICE, status};

/// How long the message about a signal may take before the signal is obeyed without it.
const PATIENCE: Duration = Duration::from_millis(200);

/// Whether and by what the run was cancelled.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    token: CancellationToken,
    code: Arc<AtomicU8>,
}

impl Interrupt {
    /// Begins to listen; call it in a runtime, once.
    ///
    /// # Errors
    ///
    /// A [`Failure`] where the operating system refuses.
    pub(crate) fn listen(reporter: &Arc<Reporter>) -> Result<Self, Failure> {
        let refused = |error| Failure::io("listen for", "signals", &error);
        let interrupts = signal(SignalKind::interrupt()).map_err(refused)?;
        let terminations = signal(SignalKind::terminate()).map_err(refused)?;
        let code = Arc::new(AtomicU8::new(exit::DONE));
        let interrupt = Self { token: CancellationToken::new(), code };
        tokio::spawn(interrupt.clone().watch(interrupts, terminations, Arc::clone(reporter)));
        Ok(interrupt)
    }

    /// Cancelled by the first signal.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// What a cancelled run ends with.
    pub(crate) fn failure(&self) -> Failure {
        self.failure_with("cancelled; images that were finished before are recorded")
    }

    /// What a cancelled run ends with, and says.
    pub(crate) fn failure_with(&self, message: &str) -> Failure {
        Failure::cancelled(self.code.load(Ordering::Relaxed), message)
    }

    /// Waits for `work`, but not after a signal.
    ///
    /// # Errors
    ///
    /// A [`Failure`] that says that the run was cancelled.
    pub(crate) async fn or_cancelled<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        tokio::select! {
            () = self.token.cancelled() => Err(self.failure()),
            result = work => Ok(result),
        }
    }

    async fn watch(self, mut interrupts: Signal, mut terminations: Signal, to: Arc<Reporter>) {
        let code = next(&mut interrupts, &mut terminations).await;
        self.code.store(code, Ordering::Relaxed);
        let told = Arc::clone(&to);
        let telling = tokio::task::spawn_blocking(move || {
            told.say(&status("Cancelling", NOTICE, "what runs (again to end at once)"));
        });
        // Whoever does not read what is written must not keep the run from being cancelled.
        let _ = tokio::time::timeout(PATIENCE, telling).await;
        self.token.cancel();
        let code = next(&mut interrupts, &mut terminations).await;
        to.finish();
        // Whatever still runs is not to be waited for.
        std::process::exit(code.into());
    }
}

/// The exit code of the next signal.
async fn next(interrupts: &mut Signal, terminations: &mut Signal) -> u8 {
    tokio::select! {
        _ = interrupts.recv() => exit::INTERRUPTED,
        _ = terminations.recv() => exit::TERMINATED,
    }
}
