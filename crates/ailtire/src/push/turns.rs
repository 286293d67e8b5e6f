//! Has no layer on its way to one registry twice.
//!
//! An engine sends a layer to each repository for itself as long as none has it; what one repository
//! of a registry has, the next one is given without sending it. So images that share a layer that is
//! on its way wait for it, and all others go at once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Layers by registry, as they are known to be there or are being sent.
#[derive(Debug, Default)]
pub(super) struct Turns {
    layers: Mutex<Layers>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Layers {
    sent: HashSet<(String, String)>,
    on_their_way: HashSet<(String, String)>,
}

impl Turns {
    /// Runs `push`, which takes an image with these layers to `registry`, once no other push has one
    /// of them on its way there.
    pub(super) async fn take<T, E>(
        &self,
        registry: &str,
        layers: Vec<String>,
        push: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let layers = layers.into_iter().map(|layer| (registry.to_owned(), layer)).collect();
        let own = self.start(layers).await;
        let result = push.await;
        self.end(own, result.is_ok());
        result
    }

    /// Waits; gives those of `layers` that are on their way from now on.
    async fn start(&self, layers: Vec<(String, String)>) -> Vec<(String, String)> {
        loop {
            // Before looking: what changes in between is not missed.
            let changed = self.changed.notified();
            if let Some(own) = self.try_start(&layers) {
                return own;
            }
            changed.await;
        }
    }

    fn try_start(&self, layers: &[(String, String)]) -> Option<Vec<(String, String)>> {
        let mut known = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        if layers.iter().any(|layer| known.on_their_way.contains(layer)) {
            return None;
        }
        let own: Vec<_> = layers.iter().filter(|it| !known.sent.contains(*it)).cloned().collect();
        known.on_their_way.extend(own.iter().cloned());
        Some(own)
    }

    fn end(&self, layers: Vec<(String, String)>, is_sent: bool) {
        let mut known = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        for layer in layers {
            known.on_their_way.remove(&layer);
            if is_sent {
                known.sent.insert(layer);
            }
        }
        drop(known);
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn images_wait_for_layers_that_are_on_their_way_and_for_nothing_else() {
        let (turns, told) = (Turns::default(), Mutex::new(Vec::new()));
        let images =
            [("base", "1"), ("web", "1 2"), ("other", "3"), ("doc", "1 2 4"), ("lost", "5")];
        let again = [("again", "5 6"), ("late", "1 2 4")];
        let pushes = images.into_iter().chain(again).map(async |(image, layers): (&str, &str)| {
            let layers = layers.split(' ').map(str::to_owned).collect();
            let push = async {
                told.lock().unwrap().push(format!("{image} starts"));
                tokio::task::yield_now().await;
                told.lock().unwrap().push(format!("{image} ends"));
                if image == "lost" { Err(()) } else { Ok(()) }
            };
            let _ = turns.take("registry", layers, push).await;
        });
        join_all(pushes).await;
        let told = told.into_inner().unwrap();
        let place = |what: &str| told.iter().position(|it| it == what).unwrap();
        assert!(place("base ends") < place("web starts"), "{told:?}");
        assert!(place("web ends") < place("doc starts"), "{told:?}");
        assert!(place("doc ends") < place("late starts"), "{told:?}");
        assert!(place("lost ends") < place("again starts"), "{told:?}");
        assert!(place("other starts") < place("base ends"), "{told:?}");
        assert_eq!(told.len(), 14);
    }
}
