//! A service's body on its way to the client.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::BodyError;
use crate::connection::Connection;
use crate::metrics::Observation;
use crate::tasks::Lease;

/// How connections are kept, and how long bodies may pause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keeping {
    pub(crate) idle_connections: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) body_pause: Duration,
}

/// Reads the answer as fast as the client takes it, and gives the connection back at its end.
/// One that is dropped before closes the connection, by which the service learns of it.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    incoming: Incoming,
    connection: Option<Box<Connection>>,
    lease: Option<Lease>,
    observation: Option<Observation>,
    keeping: Keeping,
    pause: Option<Pin<Box<Sleep>>>,
    has_paused: bool,
}

impl ResponseBody {
    pub(crate) fn new(
        incoming: Incoming,
        connection: Box<Connection>,
        lease: Lease,
        observation: Observation,
        keeping: Keeping,
    ) -> Self {
        let mut body = Self {
            incoming,
            connection: Some(connection),
            lease: Some(lease),
            observation: Some(observation),
            keeping,
            pause: None,
            has_paused: false,
        };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    fn finish(&mut self) {
        self.pause = None;
        drop(self.observation.take());
        let (Some(mut connection), Some(lease)) = (self.connection.take(), self.lease.take())
        else {
            return;
        };
        // A service that closes, or that did not want the whole request, is not asked again here.
        if connection.is_usable_again() {
            connection.is_reused = true;
            lease.0.keep(connection, self.keeping.idle_connections, self.keeping.keep_alive);
        }
    }

    /// Whether the body has paused for too long.
    fn has_stalled(&mut self, context: &mut Context<'_>) -> bool {
        let until = Instant::now() + self.keeping.body_pause;
        let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if !std::mem::replace(&mut self.has_paused, true) {
            pause.as_mut().reset(until);
        }
        pause.as_mut().poll(context).is_ready()
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut was_driven = false;
        loop {
            // Only the driver brings the body on, so its waker is the only one needed.
            let mut unwoken = Context::from_waker(Waker::noop());
            match Pin::new(&mut self.incoming).poll_frame(&mut unwoken) {
                Poll::Ready(frame) => {
                    self.has_paused = false;
                    if frame.is_none() || self.incoming.is_end_stream() {
                        self.finish();
                    }
                    return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
                }
                Poll::Pending if was_driven => break,
                Poll::Pending => {}
            }
            if let Some(connection) = &mut self.connection {
                connection.drive(context);
            }
            was_driven = true;
        }
        if self.has_stalled(context) {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the service stopped answering");
            self.connection = None;
            return Poll::Ready(Some(Err(error.into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
