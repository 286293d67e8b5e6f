//! A client's body on its way to a service.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::BodyError;

/// A body that can be sent once more, as long as none of it was.
#[derive(Debug, Clone)]
pub(crate) enum RequestBody {
    /// Most requests have none.
    Empty,
    /// Read as fast as the service takes it.
    Stream(Arc<Mutex<Stream>>),
}

#[derive(Debug)]
pub(crate) struct Stream {
    incoming: Incoming,
    has_begun: bool,
    has_ended: bool,
    has_failed: bool,
    last_part: Option<Instant>,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming) -> Self {
        if incoming.is_end_stream() {
            return Self::Empty;
        }
        Self::Stream(Arc::new(Mutex::new(Stream {
            incoming,
            has_begun: false,
            has_ended: false,
            has_failed: false,
            last_part: None,
        })))
    }

    fn lock(&self) -> Option<MutexGuard<'_, Stream>> {
        match self {
            Self::Empty => None,
            Self::Stream(stream) => Some(stream.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Whether its length is not known before.
    pub(crate) fn is_chunked(&self) -> bool {
        self.lock().is_some_and(|stream| stream.incoming.size_hint().exact().is_none())
    }

    /// Whether some of it is gone already.
    pub(crate) fn has_begun(&self) -> bool {
        self.lock().is_some_and(|stream| stream.has_begun)
    }

    /// When the last part of it came.
    pub(crate) fn last_part(&self) -> Option<Instant> {
        self.lock()?.last_part
    }

    /// Whether the client began it, and stopped.
    pub(crate) fn is_partial(&self) -> bool {
        self.lock().is_some_and(|stream| stream.has_begun && !stream.has_ended)
    }

    /// Whether the client broke it off.
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().is_some_and(|stream| stream.has_failed)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(mut stream) = self.lock() else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut stream.incoming).poll_frame(context));
        stream.has_begun = true;
        stream.last_part = Some(Instant::now());
        stream.has_failed = matches!(frame, Some(Err(_)));
        stream.has_ended = frame.is_none() || stream.incoming.is_end_stream();
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_none_or(|stream| stream.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().map_or_else(|| SizeHint::with_exact(0), |stream| stream.incoming.size_hint())
    }
}
