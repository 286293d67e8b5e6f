//! Wrong tokens, counted by who sent them.

use std::collections::HashMap;

/// How a token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// In the login form, which people fill in.
    Form,
    /// In a header. A program that tries all routes with an old token is to learn that it is wrong
    /// at each of them.
    Header,
}

impl Way {
    /// Wrong tokens that a client may send within [`WINDOW`].
    fn limit(self) -> u32 {
        match self {
            Self::Form => 10,
            Self::Header => 120,
        }
    }
}

/// Seconds for which wrong tokens count.
const WINDOW: u64 = 60;

/// Clients that are kept in mind; attackers with many addresses must not fill the memory.
const MOST_CLIENTS: usize = 4096;

/// Who sent how many wrong tokens.
#[derive(Debug, Default)]
pub(super) struct Failures {
    by_client: HashMap<Client, Window>,
}

/// Who sent a token, and how.
pub(super) type Client = (Way, String);

#[derive(Debug)]
struct Window {
    began: u64,
    count: u32,
}

impl Window {
    fn is_over(&self, now: u64) -> bool {
        // A clock that was set back ends a window too: nobody is to wait for years.
        now < self.began || now - self.began >= WINDOW
    }
}

impl Failures {
    /// Seconds that a client has to wait, if it has to.
    pub(super) fn wait(&self, client: &Client, now: u64) -> Option<u64> {
        let window = self.by_client.get(client)?;
        let waits = !window.is_over(now) && window.count >= client.0.limit();
        waits.then(|| WINDOW - (now - window.began))
    }

    /// Counts a wrong token.
    pub(super) fn count(&mut self, client: Client, now: u64) {
        if self.by_client.len() >= MOST_CLIENTS && !self.by_client.contains_key(&client) {
            self.make_room(now);
        }
        let window = self.by_client.entry(client).or_insert(Window { began: now, count: 0 });
        if window.is_over(now) {
            *window = Window { began: now, count: 0 };
        }
        window.count += 1;
    }

    /// Forgets a client that knew the token after all.
    pub(super) fn forget(&mut self, client: &Client) {
        self.by_client.remove(client);
    }

    fn make_room(&mut self, now: u64) {
        self.by_client.retain(|_, window| !window.is_over(now));
        if self.by_client.len() >= MOST_CLIENTS {
            let oldest = self.by_client.iter().min_by_key(|(_, window)| window.began);
            if let Some(client) = oldest.map(|(client, _)| client.clone()) {
                self.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_waits_until_its_window_is_over() {
        let mut failures = Failures::default();
        let client = |name: &str| (Way::Form, name.to_owned());
        for _ in 0..Way::Form.limit() {
            assert_eq!(failures.wait(&client("a"), 100), None);
            failures.count(client("a"), 100);
        }
        assert_eq!(failures.wait(&client("a"), 110), Some(50));
        assert_eq!(failures.wait(&client("b"), 110), None, "others don't wait");
        assert_eq!(failures.wait(&(Way::Header, "a".to_owned()), 110), None);
        assert_eq!(failures.wait(&client("a"), 160), None);
        assert_eq!(
            failures.wait(&client("a"), 50),
            None,
            "a clock that was set back locks nobody out"
        );
        failures.count(client("a"), 160);
        assert_eq!(failures.wait(&client("a"), 160), None, "what is long ago does not count");
    }

    #[test]
    fn many_clients_take_no_more_memory_than_that() {
        let mut failures = Failures::default();
        for index in 0..2 * MOST_CLIENTS {
            failures.count((Way::Form, format!("client {index}")), index as u64 / 1000);
        }
        assert_eq!(failures.by_client.len(), MOST_CLIENTS);
    }
}
