//! What every socket is told.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// After so long without a word the other end is asked whether it is still there, and then again.
const KEEP_ALIVE: Duration = Duration::from_mins(1);
const KEEP_ALIVE_AGAIN: Duration = Duration::from_secs(15);
/// How long the other end may leave what it was sent unconfirmed, or have no room for more.
const UNCONFIRMED: Duration = Duration::from_mins(5);

/// Small messages go out at once, and an end that is gone is noticed however quiet it was.
pub(crate) fn tune(stream: &TcpStream) {
    let socket = stream.as_fd();
    let unconfirmed = u32::try_from(UNCONFIRMED.as_millis()).unwrap_or(u32::MAX);
    // A connection works without these, if not as well.
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(socket, true);
    let _ = sockopt::set_tcp_keepidle(socket, KEEP_ALIVE);
    let _ = sockopt::set_tcp_keepintvl(socket, KEEP_ALIVE_AGAIN);
    let _ = sockopt::set_tcp_user_timeout(socket, unconfirmed);
}
