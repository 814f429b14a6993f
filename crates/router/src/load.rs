//! What one worker knows of the servers' load, from its own statements.

use std::time::Duration;

use topology::ServerId;

/// The weight of a new response time in the average is 1 / this.
const SMOOTHING: u32 = 8;

/// One worker's statements on each server: those under way, and how long the last ones took.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// By server number; grows to the number of servers.
    servers: Vec<ServerLoad>,
}

/// One server's.
#[derive(Debug, Clone, Copy, Default)]
struct ServerLoad {
    under_way: u32,
    /// Smoothed.
    response: Option<Duration>,
}

impl Load {
    /// A statement has been given to this server.
    pub fn begin(&mut self, server: ServerId) {
        let load = self.of_mut(server);
        load.under_way = load.under_way.saturating_add(1);
    }

    /// A statement has ended. `response`: the time since it was sent, if it was answered.
    pub fn end(&mut self, server: ServerId, response: Option<Duration>) {
        let load = self.of_mut(server);
        load.under_way = load.under_way.saturating_sub(1);
        if let Some(response) = response {
            let smooth = |before: Duration| (before * (SMOOTHING - 1) + response) / SMOOTHING;
            load.response = Some(load.response.map_or(response, smooth));
        }
    }

    /// Statements that this server works on, or that wait for a connection to it.
    pub fn under_way(&self, server: ServerId) -> u32 {
        self.of(server).under_way
    }

    /// How long its answers take, smoothed over some ten of them; `None` before the first.
    pub fn response(&self, server: ServerId) -> Option<Duration> {
        self.of(server).response
    }

    fn of(&self, server: ServerId) -> ServerLoad {
        self.servers.get(usize::from(server.0)).copied().unwrap_or_default()
    }

    fn of_mut(&mut self, server: ServerId) -> &mut ServerLoad {
        let index = usize::from(server.0);
        if index >= self.servers.len() {
            self.servers.resize_with(index + 1, ServerLoad::default);
        }
        #[expect(clippy::indexing_slicing, reason = "resized just above")]
        &mut self.servers[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: ServerId = ServerId(2);
    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn statements_are_counted_while_they_are_under_way() {
        let mut load = Load::default();
        load.begin(SERVER);
        load.begin(SERVER);
        assert_eq!((load.under_way(SERVER), load.under_way(ServerId(0)), load.under_way(ServerId(9))), (2, 0, 0));
        load.end(SERVER, None);
        load.end(SERVER, None);
        load.end(SERVER, None);
        assert_eq!((load.under_way(SERVER), load.response(SERVER)), (0, None));
    }

    #[test]
    fn response_times_are_smoothed_and_follow_a_change() {
        let mut load = Load::default();
        load.end(SERVER, Some(ms(8)));
        assert_eq!(load.response(SERVER), Some(ms(8)));
        load.end(SERVER, Some(ms(16)));
        assert_eq!(load.response(SERVER), Some(ms(9)));
        for _ in 0..50 {
            load.end(SERVER, Some(ms(100)));
        }
        assert!(load.response(SERVER).is_some_and(|response| response > ms(95) && response <= ms(100)));
        load.end(SERVER, None);
        assert!(load.response(SERVER).is_some_and(|response| response > ms(95)));
    }
}
