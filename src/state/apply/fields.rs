//! What an event says of a task besides its state: name, texts, family, route, outcome.

use std::num::NonZeroU32;

use crate::celery::TaskId;
use crate::celery::event::{Batch, Field, TaskEvent, TaskEventKind, Text};
use crate::celery::traceback;
use crate::state::model::Model;
use crate::state::task::{LONG_RUNTIME, NO_RUNTIME, Route, RouteId, flag, pack, unpack};

impl Model {
    /// The fields that even a late `task-received` brings.
    pub(super) fn apply_identity(&mut self, batch: &Batch, event: &TaskEvent, i: usize) {
        match batch.field(event.name) {
            Field::Value(name) => self.tasks.hot[i].name = Some(self.names.intern(name)),
            Field::Null => self.tasks.hot[i].name = None,
            Field::Absent => {}
        }
        self.apply_texts(batch, event, i, true);
        match event.retries {
            Field::Value(n) => {
                let hot = &mut self.tasks.hot[i];
                hot.retries = u16::try_from(n.max(0)).unwrap_or(u16::MAX);
                hot.flags |= flag::RETRIES;
            }
            Field::Null => self.tasks.hot[i].flags &= !flag::RETRIES,
            Field::Absent => {}
        }
        self.apply_family(batch, event, i);
        for (text, which) in [(event.eta, 0), (event.expires, 1)] {
            let value = match batch.field(text) {
                Field::Absent => continue,
                Field::Null if self.tasks.cold[i].rare.is_none() => continue,
                Field::Null => None,
                Field::Value(text) => Some(text.into()),
            };
            let rare = self.rare(i);
            *(if which == 0 { &mut rare.eta } else { &mut rare.expires }) = value;
        }
    }

    fn apply_texts(&mut self, batch: &Batch, event: &TaskEvent, i: usize, identity: bool) {
        let told = if identity { [event.args, event.kwargs] } else { [event.result, Text::default()] };
        if told.iter().all(|text| text.is_absent()) {
            return;
        }
        let cold = &mut self.tasks.cold[i];
        let known = unpack(cold.text.as_deref());
        let mut texts = known;
        if identity {
            batch.field(event.args).apply(&mut texts[0]);
            batch.field(event.kwargs).apply(&mut texts[1]);
        } else {
            batch.field(event.result).apply(&mut texts[2]);
        }
        if texts != known {
            cold.text = pack(texts);
        }
    }

    fn apply_family(&mut self, batch: &Batch, event: &TaskEvent, i: usize) {
        match batch.field(event.root_id) {
            Field::Absent => {}
            Field::Null => {
                self.tasks.hot[i].flags &= !flag::ROOT_SELF;
                if let Some(rare) = &mut self.tasks.cold[i].rare {
                    rare.root = None;
                }
            }
            Field::Value(text) => {
                let root = TaskId::new(text);
                if root == event.id {
                    self.tasks.hot[i].flags |= flag::ROOT_SELF;
                } else {
                    self.tasks.hot[i].flags &= !flag::ROOT_SELF;
                    self.rare(i).root = Some(root);
                }
            }
        }
        match batch.field(event.parent_id) {
            Field::Value(text) => self.rare(i).parent = Some(TaskId::new(text)),
            Field::Null => {
                if let Some(rare) = &mut self.tasks.cold[i].rare {
                    rare.parent = None;
                }
            }
            Field::Absent => {}
        }
    }

    /// The fields a late `task-received` doesn't bring.
    pub(super) fn apply_rest(&mut self, batch: &Batch, event: &TaskEvent, i: usize) {
        self.tasks.cold[i].stamp = Some(event.stamp);
        self.apply_texts(batch, event, i, false);
        self.apply_route(batch, event, i);
        match batch.field(event.queue) {
            Field::Value(queue) => self.tasks.hot[i].queue = Some(self.names.intern(queue)),
            Field::Null => self.tasks.hot[i].queue = None,
            Field::Absent => {}
        }
        match batch.field(event.exception) {
            Field::Value(text) => {
                let told = traceback::telling(text, batch.text(event.traceback));
                self.tasks.hot[i].exception = Some(self.names.intern(traceback::exception(told).0));
                self.rare(i).exception = Some(text.into());
            }
            Field::Null => {
                self.tasks.hot[i].exception = None;
                if let Some(rare) = &mut self.tasks.cold[i].rare {
                    rare.exception = None;
                }
            }
            Field::Absent => {}
        }
        match batch.field(event.traceback) {
            Field::Value(text) => {
                let held = self.traces.hold(text);
                let before = self.rare(i).traceback.replace(held);
                self.traces.give_back(before);
            }
            Field::Null => {
                if let Some(rare) = &mut self.tasks.cold[i].rare {
                    self.traces.give_back(rare.traceback.take());
                }
            }
            Field::Absent => {}
        }
        match event.runtime {
            Field::Value(secs) => self.set_runtime(i, secs),
            Field::Null => self.tasks.hot[i].runtime = NO_RUNTIME,
            Field::Absent => {}
        }
        if let Some(signum) = batch.text(event.signum) {
            self.rare(i).signum = Some(signum.into());
        }
        let flags = &mut self.tasks.hot[i].flags;
        *flags |= if event.expired { flag::EXPIRED } else { 0 };
        *flags |= if event.terminated { flag::TERMINATED } else { 0 };
    }

    fn set_runtime(&mut self, i: usize, secs: f64) {
        let units = (secs * 1e5).round();
        if (0.0..f64::from(LONG_RUNTIME)).contains(&units) {
            self.tasks.hot[i].runtime = units as u32;
        } else {
            self.tasks.hot[i].runtime = LONG_RUNTIME;
            self.rare(i).runtime = secs;
        }
    }

    fn apply_route(&mut self, batch: &Batch, event: &TaskEvent, i: usize) {
        let old = self.route(self.tasks.cold[i].route);
        let mut route = old;
        if event.kind == TaskEventKind::Sent {
            route.client = batch.text(event.hostname).map(|name| self.names.intern(name));
        }
        for (text, slot) in [(event.exchange, &mut route.exchange), (event.routing_key, &mut route.routing_key)] {
            match batch.field(text) {
                Field::Value(name) => *slot = Some(self.names.intern(name)),
                Field::Null => *slot = None,
                Field::Absent => {}
            }
        }
        if let Field::Value(pid) = event.pid {
            route.pid = u32::try_from(pid).ok();
        }
        if route != old {
            self.tasks.cold[i].route = self.route_id(route);
        }
    }

    pub(in crate::state) fn route_id(&mut self, route: Route) -> Option<RouteId> {
        if let Some(&id) = self.route_ids.get(&route) {
            return Some(id);
        }
        self.routes.push(route);
        let id = RouteId(NonZeroU32::new(u32::try_from(self.routes.len()).ok()?)?);
        self.route_ids.insert(route, id);
        Some(id)
    }
}
