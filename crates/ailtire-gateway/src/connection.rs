//! A connection to a task.
//!
//! It is driven by the request that uses it, in that request's own task: no task of its own, no
//! channel between threads, and whoever drops the request closes the connection.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::request_body::RequestBody;
use crate::socket;

/// The largest head of an answer, and the most that is read ahead of a client.
const BUFFER: usize = 64 * 1024;

/// A connection that takes one request at a time.
pub(crate) struct Connection {
    sender: SendRequest<RequestBody>,
    /// Absent once there is nothing left to drive.
    driver: Option<http1::Connection<TokioIo<TcpStream>, RequestBody>>,
    has_ended: bool,
    /// Whether it had an answer before.
    pub(crate) is_reused: bool,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// Nothing of it was sent.
    Unsent(Box<Request<RequestBody>>),
    /// Some of it may have been sent.
    Lost,
}

impl Connection {
    /// Connects; a task that does not accept in time has not accepted.
    pub(crate) async fn open(address: SocketAddr, limit: Duration) -> io::Result<Box<Self>> {
        let stream = tokio::time::timeout(limit, TcpStream::connect(address)).await??;
        socket::tune(&stream);
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER);
        let (sender, driver) =
            builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        Ok(Box::new(Self { sender, driver: Some(driver), has_ended: false, is_reused: false }))
    }

    /// Lets the connection read and write what it can.
    pub(crate) fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(driver) = self.driver.as_mut().filter(|_| !self.has_ended) {
            self.has_ended = driver.poll_without_shutdown(context).is_ready();
        }
    }

    /// Whether it could take a request now; sees when the other end closed it.
    pub(crate) fn is_usable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.has_ended && self.sender.is_ready()
    }

    /// The same, after an answer that was just read: most connections are ready again by then.
    pub(crate) fn is_usable_again(&mut self) -> bool {
        (!self.has_ended && self.sender.is_ready()) || self.is_usable()
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let mut answer = pin!(self.sender.try_send_request(request));
        std::future::poll_fn(|context| {
            if let Some(driver) = self.driver.as_mut().filter(|_| !self.has_ended) {
                self.has_ended = driver.poll_without_shutdown(context).is_ready();
            }
            // Only the driver brings the answer on, so its waker is the only one needed.
            let mut unwoken = Context::from_waker(Waker::noop());
            let mut polled = answer.as_mut().poll(&mut unwoken);
            if polled.is_pending() && self.has_ended {
                // What it had not taken yet comes back when it is gone.
                self.driver = None;
                polled = answer.as_mut().poll(&mut unwoken);
                if polled.is_pending() {
                    return Poll::Ready(Err(Unanswered::Lost));
                }
            }
            polled.map_err(|mut error| match error.take_message() {
                Some(request) => Unanswered::Unsent(Box::new(request)),
                None => Unanswered::Lost,
            })
        })
        .await
    }

    /// The socket, and what was read from it already, after an answer that changes protocols.
    pub(crate) fn into_stream(self) -> Option<(TcpStream, Bytes)> {
        let parts = self.driver?.into_parts();
        Some((parts.io.into_inner(), parts.read_buf))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").finish_non_exhaustive()
    }
}
