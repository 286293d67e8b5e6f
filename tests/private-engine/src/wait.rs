//! Waiting for what tells nobody when it comes about.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// Looks until `look` gives something; `what` names it in the error.
///
/// # Errors
/// It did not come about within `limit`.
pub fn wait_for<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, Error> {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if begin.elapsed() > limit {
            return Err(Error::Late { what: what.to_owned() });
        }
        thread::park_timeout(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_at_again_until_it_is_there_or_the_time_is_over() {
        let mut looks = 0;
        let third = || {
            looks += 1;
            (looks == 3).then_some("there")
        };
        assert_eq!(wait_for(Duration::from_mins(1), "the third look", third).unwrap(), "there");
        let error = wait_for(Duration::ZERO, "rain", || None::<()>).unwrap_err();
        assert_eq!(error.to_string(), "waited in vain for rain");
    }
}
