//! A raw connection to an endpoint, whatever it is.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::EngineError;
use crate::endpoint::{Endpoint, EndpointOptions, SshTarget};

/// Makes connections to one endpoint.
#[derive(Clone)]
pub(crate) struct Dial {
    endpoint: Arc<Endpoint>,
    tls: Option<TlsConnector>,
    ssh: PathBuf,
    timeout: Duration,
}

impl Dial {
    /// Reads the files that TLS needs; connects to nothing yet.
    pub(crate) fn new(endpoint: Endpoint, options: &EndpointOptions) -> Result<Self, EngineError> {
        let tls = match &endpoint {
            Endpoint::Tcp { tls: Some(files), .. } => Some(crate::tls::connector(files)?),
            _ => None,
        };
        Ok(Self {
            endpoint: Arc::new(endpoint),
            tls,
            ssh: options.ssh_program.clone(),
            timeout: options.connect_timeout,
        })
    }

    /// The endpoint as text.
    pub(crate) fn describe(&self) -> String {
        self.endpoint.to_string()
    }

    /// How long connecting may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A new connection.
    pub(crate) async fn dial(&self) -> Result<DialedStream, EngineError> {
        let connecting: Pin<Box<dyn Future<Output = io::Result<DialedStream>> + Send>> =
            match &*self.endpoint {
                Endpoint::Unix(path) => {
                    Box::pin(
                        async move { Ok(DialedStream(Box::new(UnixStream::connect(path).await?))) },
                    )
                }
                Endpoint::Tcp { host, port, .. } => Box::pin(self.dial_tcp(host, *port)),
                Endpoint::Ssh(target) => Box::pin(async move {
                    Ok(DialedStream(Box::new(SshStream::spawn(&self.ssh, target)?)))
                }),
            };
        match tokio::time::timeout(self.timeout, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Err(_) => Err(self.timed_out()),
        }
    }

    async fn dial_tcp(&self, host: &str, port: u16) -> io::Result<DialedStream> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        // So that a build does not wait for ever for a host that is gone.
        rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
        let Some(tls) = &self.tls else { return Ok(DialedStream(Box::new(stream))) };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(DialedStream(Box::new(tls.connect(name, stream).await?)))
    }

    fn unreachable(&self, error: &io::Error) -> EngineError {
        let endpoint = self.describe();
        match error.kind() {
            io::ErrorKind::PermissionDenied => EngineError::Permission { endpoint },
            io::ErrorKind::NotFound if matches!(*self.endpoint, Endpoint::Ssh(_)) => {
                let why = "there is no program `ssh` on the path".to_owned();
                EngineError::Unreachable { endpoint, why }
            }
            io::ErrorKind::NotFound => {
                EngineError::Unreachable { endpoint, why: "there is no such socket".to_owned() }
            }
            io::ErrorKind::ConnectionRefused => {
                EngineError::Unreachable { endpoint, why: "nothing listens there".to_owned() }
            }
            _ => EngineError::Unreachable { endpoint, why: error.to_string() },
        }
    }

    /// The error for an engine that says nothing.
    pub(crate) fn timed_out(&self) -> EngineError {
        EngineError::Unreachable {
            endpoint: self.describe(),
            why: format!("no answer within {} s", self.timeout.as_secs_f32()),
        }
    }
}

/// What a connection has to be able to do.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection to an engine.
pub(crate) struct DialedStream(Box<dyn Duplex>);

impl Connection for DialedStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for DialedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for DialedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }
}

/// `ssh … docker system dial-stdio`, whose standard streams are the engine's socket.
struct SshStream {
    input: ChildStdin,
    output: ChildStdout,
    complaint: Arc<Mutex<String>>,
    // Killed when the stream is dropped.
    _child: Child,
}

/// More of what `ssh` has to say does not help anybody.
const COMPLAINT_LIMIT: usize = 2_000;

impl SshStream {
    fn spawn(program: &Path, target: &SshTarget) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(ssh_arguments(target));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let missing = || io::Error::other("a standard stream of `ssh` is missing");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let mut errors = child.stderr.take().ok_or_else(missing)?;
        let complaint = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&complaint);
        // Ends with the child, which ends with the stream.
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = errors.read(&mut buffer).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < COMPLAINT_LIMIT {
                    kept.push_str(&String::from_utf8_lossy(&buffer[..count]));
                }
            }
        });
        Ok(Self { input, output, complaint, _child: child })
    }

    fn explain(&self, error: io::Error) -> io::Error {
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        match complaint.trim() {
            "" => error,
            text => io::Error::new(error.kind(), format!("ssh: {text}")),
        }
    }
}

fn ssh_arguments(target: &SshTarget) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["-o", "ConnectTimeout=30", "-T"].into_iter().map(str::to_owned).collect();
    if let Some(user) = &target.user {
        arguments.extend(["-l".to_owned(), user.clone()]);
    }
    if let Some(port) = target.port {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    arguments.extend(["--".to_owned(), target.host.clone(), "docker".to_owned()]);
    if let Some(socket) = &target.socket {
        arguments.push(format!("--host=unix://{socket}"));
    }
    arguments.extend(["system".to_owned(), "dial-stdio".to_owned()]);
    arguments
}

impl AsyncRead for SshStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.output).poll_read(context, buffer) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.explain(error))),
            Poll::Ready(Ok(())) if buffer.filled().len() == before && buffer.remaining() > 0 => {
                let ended = io::Error::from(io::ErrorKind::UnexpectedEof);
                let explained = self.explain(ended);
                if explained.get_ref().is_some() {
                    Poll::Ready(Err(explained))
                } else {
                    Poll::Ready(Ok(()))
                }
            }
            other => other,
        }
    }
}

impl AsyncWrite for SshStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.input).poll_write(context, bytes) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.explain(error))),
            other => other,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_is_called_as_docker_calls_it() {
        let target = SshTarget {
            user: Some("me".to_owned()),
            host: "far".to_owned(),
            port: Some(2222),
            socket: Some("/run/d.sock".to_owned()),
        };
        assert_eq!(
            ssh_arguments(&target).join(" "),
            "-o ConnectTimeout=30 -T -l me -p 2222 -- far docker --host=unix:///run/d.sock system \
             dial-stdio"
        );
    }

    #[tokio::test]
    async fn a_missing_socket_is_unreachable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no.sock");
        let dial = Dial::new(Endpoint::Unix(path), &EndpointOptions::default()).unwrap();
        let error = dial.dial().await.err().unwrap();
        assert!(error.to_string().ends_with("there is no such socket"), "{error}");
    }
}
