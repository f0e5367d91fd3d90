//! Forgetting names that nothing refers to any more: pods and reply queues have endless ones.

use super::intern::Sym;
use super::model::Model;
use super::tasks::Slot;

impl Model {
    pub(super) fn sweep(&mut self) {
        self.sweep_routes();
        let mut used = vec![false; self.names.len()];
        let mut mark = |sym: Option<Sym>| {
            if let Some(sym) = sym {
                used[sym.index()] = true;
            }
        };
        for slot in (0..self.tasks.hot.len() as Slot).filter(|&s| self.tasks.is_live(s)) {
            let (hot, cold) = (&self.tasks.hot[slot as usize], &self.tasks.cold[slot as usize]);
            [hot.name, hot.worker, hot.queue, hot.exception].into_iter().for_each(&mut mark);
            if let Some(rare) = &cold.rare {
                mark(rare.custom);
                rare.attempts.iter().flat_map(|a| [a.worker, a.exception]).for_each(&mut mark);
            }
        }
        for route in &self.routes {
            [route.client, route.exchange, route.routing_key].into_iter().for_each(&mut mark);
        }
        for &sym in self.workers.keys().chain(self.queues.keys()).chain(self.by_name.keys()) {
            mark(Some(sym));
        }
        for queue in self.queues.values() {
            queue.producers().for_each(|producer| mark(Some(producer.client)));
        }
        for sym in self.failures.symbols().chain(self.marks.symbols()) {
            mark(Some(sym));
        }
        self.names.sweep(&used);
    }

    fn sweep_routes(&mut self) {
        let old = std::mem::take(&mut self.routes);
        self.route_ids.clear();
        for slot in 0..self.tasks.cold.len() {
            let route = self.tasks.cold[slot].route.and_then(|id| old.get(id.0.get() as usize - 1)).copied();
            self.tasks.cold[slot].route = match route {
                Some(route) if self.tasks.is_live(slot as Slot) => self.route_id(route),
                _ => None,
            };
        }
    }
}
