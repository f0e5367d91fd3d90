//! What the monitor's charts show: values by points of time, cut out of the model's rings.

use std::time::Duration;

use crate::clock::Stamp;
use crate::human;
use crate::state::series::Ring;
use crate::state::stats::{Counts, NameStats, Percentiles, Spread};
use crate::text::{Clean, clean};
use crate::tui::theme::Role;
use crate::tui::view::Cx;
use crate::tui::views::task::Line;
use crate::tui::widgets::chart::{Chart, Series, round_up};

use super::window::Window;

/// Success rate below which something is wrong.
pub const TARGET: f64 = 0.95;

/// Cuts values out of the model for one window.
pub struct Cutter<'a, 'm> {
    pub window: &'a Window,
    pub cx: &'a Cx<'m>,
    /// Only this task, or all.
    pub only: Option<&'a NameStats>,
}

/// What happened in one point of a chart.
#[derive(Clone, Copy, Default)]
struct Point {
    ok: f64,
    fail: f64,
    retry: f64,
    success: Option<f64>,
}

impl Cutter<'_, '_> {
    /// Folds the buckets of a ring into points; `None` where nothing could be seen.
    fn cut<T: Clone + Default, P>(&self, ring: &Ring<T>, fold: impl Fn(&[T], f64) -> Option<P>) -> Vec<Option<P>> {
        let now = self.cx.now;
        let since = self.cx.model.watching_since();
        self.window
            .stretches(2, now)
            .map(|(begin, stop)| {
                // Before we looked, and while we could not, nothing is known: not the same as nothing happening.
                since.filter(|since| *since < stop)?;
                if self.cx.model.outages().touches(begin, stop) {
                    return None;
                }
                let buckets: Vec<T> = ring.between(begin, stop.min(now)).collect();
                let step = f64::from(ring.step());
                // The present bucket isn't full yet.
                let open = if stop > now { step - now.secs() % step } else { 0.0 };
                let span = buckets.len() as f64 * step - open;
                if begin >= now || span < 1.0 {
                    return None;
                }
                // A bucket that has just begun may hold nothing yet: the one before it lasts until then.
                let lasting = || fold(&ring.between(begin, begin).collect::<Vec<T>>(), step);
                fold(&buckets, span).or_else(|| if stop > now { lasting() } else { None })
            })
            .collect()
    }

    fn points(&self) -> Vec<Option<Point>> {
        if let Some(stats) = self.only {
            let ring = if self.fine() { &stats.buckets } else { &stats.minutes };
            return self.cut(ring, |buckets, span| {
                let mut sum = crate::state::stats::NameBucket::default();
                buckets.iter().for_each(|b| sum.add(b));
                let rate = |n: u32| f64::from(n) / span;
                Some(Point {
                    ok: rate(sum.done),
                    fail: rate(sum.failed),
                    retry: rate(sum.retried),
                    success: sum.success(),
                })
            });
        }
        let series = self.cx.model.series();
        let fold = |buckets: &[Counts], span: f64| {
            let mut sum = Counts::default();
            buckets.iter().for_each(|c| sum.add(c));
            let rate = |n: u32| f64::from(n) / span;
            Some(Point {
                ok: rate(sum.succeeded),
                fail: rate(sum.failed),
                retry: rate(sum.retried),
                success: sum.success(),
            })
        };
        if self.fine() { self.cut(&series.seconds, fold) } else { self.cut(&series.tens, fold) }
    }

    /// Whether the whole window lies within the last quarter of an hour, which is known more finely.
    fn fine(&self) -> bool {
        self.cx.now.since(self.window.begin(self.cx.now)) <= Duration::from_secs(900)
    }

    fn frame(
        &self,
        title: Line,
        series: Vec<(Vec<Option<f64>>, Role)>,
        top: f64,
        label: fn(f64) -> String,
    ) -> (Line, Chart) {
        let now = self.cx.now;
        let chart = Chart {
            series: series.into_iter().map(|(values, role)| Series { values, role }).collect(),
            labels: [top, top / 2.0, 0.0].map(|v| if v == 0.0 { Clean::own("0") } else { clean(&label(v)) }),
            top,
            target: None,
            times: times(self.window, self.cx),
            marks: marks(self.window, self.cx),
            cursor: self.window.cursor.and_then(|at| self.window.share(at, now)),
        };
        (title, chart)
    }

    /// The value under the cursor, else the latest known one.
    fn reading(&self, values: &[Option<f64>]) -> Option<f64> {
        match self.window.cursor.and_then(|at| self.window.share(at, self.cx.now)) {
            Some(share) => {
                let i = (share * values.len() as f64).ceil() as usize;
                values.get(i.saturating_sub(1)).copied().flatten()
            }
            None => values.iter().rev().flatten().next().copied(),
        }
    }

    fn read(&self, values: &[Option<f64>], show: fn(f64) -> String) -> String {
        self.reading(values).map_or("-".into(), show)
    }

    /// Rates and success rate.
    pub fn rates(&self) -> [(Line, Chart); 2] {
        let points = self.points();
        let of = |f: fn(&Point) -> f64| -> Vec<Option<f64>> { points.iter().map(|p| p.as_ref().map(f)).collect() };
        let (ok, fail, retry) = (of(|p| p.ok), of(|p| p.fail), of(|p| p.retry));
        let now = |values: &[Option<f64>]| match (self.window.cursor, self.only) {
            // Without a cursor ten seconds speak better for the present than the last point alone.
            (None, None) => self.last(values).map_or("-".into(), human::rate),
            _ => self.read(values, human::rate),
        };
        let peak = ok.iter().flatten().copied().reduce(f64::max).map_or("-".into(), human::rate);
        let title = vec![
            (Clean::own("tasks/s  "), Role::Heading),
            (crate::clean!("ok {}  ", now(&ok)), Role::Series1),
            (crate::clean!("fail {}  ", now(&fail)), Role::Series2),
            (crate::clean!("retry {}", now(&retry)), Role::Series3),
            (crate::clean!("   peak {peak}"), Role::Faint),
        ];
        let top = round_up(greatest(&[&ok, &fail, &retry]));
        let rates = self.frame(
            title,
            vec![(fail, Role::Series2), (retry, Role::Series3), (ok, Role::Series1)],
            top,
            human::rate,
        );
        let success: Vec<Option<f64>> = points.iter().map(|p| p.as_ref().and_then(|p| p.success)).collect();
        let value = match (self.window.cursor, self.only) {
            (None, None) => self.cx.model.series().recent(60, self.cx.now).success(),
            _ => self.reading(&success),
        };
        let role = if value.is_some_and(|v| v < TARGET) { Role::Fail } else { Role::Series1 };
        let title = vec![
            (Clean::own("success rate  "), Role::Heading),
            (crate::clean!("{}", value.map_or("-".into(), human::percent)), role),
            (crate::clean!("   target {}", human::percent(TARGET)), Role::Faint),
        ];
        let (title, mut chart) =
            self.frame(title, vec![(success, Role::Series1)], 1.0, |v| format!("{:.0}%", v * 100.0));
        chart.target = Some(TARGET);
        [rates, (title, chart)]
    }

    /// The mean of the last ten seconds' worth of points.
    fn last(&self, values: &[Option<f64>]) -> Option<f64> {
        let per_point = f64::from(self.window.secs()) / values.len().max(1) as f64;
        let n = ((10.0 / per_point).round() as usize).clamp(1, values.len().max(1));
        let known = values.iter().rev().skip_while(|value| value.is_none());
        let last: Vec<f64> = known.skip(usize::from(values.len() > n)).take(n).flatten().copied().collect();
        (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64)
    }

    /// Percentiles over time.
    pub fn spread(&self, name: &'static str, spread: &Spread) -> (Line, Chart) {
        let ring = &spread.ring;
        let worst = |f: fn(&Percentiles) -> f32| -> Vec<Option<f64>> {
            self.cut(ring, |buckets, _| {
                buckets
                    .iter()
                    .filter(|p| p.samples > 0)
                    .map(|p| f64::from(f(p)))
                    .fold(None, |a: Option<f64>, b| Some(a.map_or(b, |a| a.max(b))))
            })
        };
        let lines = [worst(|p| p.p50), worst(|p| p.p95), worst(|p| p.p99)];
        let recent = spread.recent.percentiles();
        let shown = |i: usize, latest: f32| match self.window.cursor {
            Some(_) => self.read(&lines[i], human::seconds),
            None if recent.samples > 0 => human::seconds(f64::from(latest)),
            None => "-".into(),
        };
        let title = vec![
            (crate::clean!("{name}  "), Role::Heading),
            (crate::clean!("p50 {}  ", shown(0, recent.p50)), Role::Series1),
            (crate::clean!("p95 {}  ", shown(1, recent.p95)), Role::Series3),
            (crate::clean!("p99 {}", shown(2, recent.p99)), Role::Series4),
        ];
        let top = round_up(greatest(&[&lines[0], &lines[1], &lines[2]]));
        let [p50, p95, p99] = lines;
        self.frame(
            title,
            vec![(p50, Role::Series1), (p95, Role::Series3), (p99, Role::Series4)],
            top,
            human::round_seconds,
        )
    }

    /// The three longest queues.
    pub fn queues(&self) -> (Line, Chart) {
        let mut queues = self.cx.model.queues();
        queues.sort_by_key(|(_, q)| std::cmp::Reverse(q.depth.ready));
        let mut title = vec![(Clean::own("waiting  "), Role::Heading)];
        let mut series = Vec::new();
        for ((name, queue), role) in queues.into_iter().zip([Role::Series1, Role::Series3, Role::Series4]) {
            let values = self.cut(&queue.history, |depths, _| {
                depths
                    .iter()
                    .filter(|d| **d > 0)
                    .map(|d| f64::from(*d - 1))
                    .fold(None, |a: Option<f64>, b| Some(a.map_or(b, |a| a.max(b))))
            });
            let short = crate::text::cut_middle(clean(name).as_str(), 14).into_owned();
            let value = match self.window.cursor {
                Some(_) => self.read(&values, |v| human::count(v as u64)),
                None => human::count(queue.depth.ready),
            };
            title.push((crate::clean!("{short} {value}  "), role));
            series.push((values, role));
        }
        let all: Vec<&Vec<Option<f64>>> = series.iter().map(|(values, _)| values).collect();
        let top = round_up(greatest(&all)).max(2.0);
        self.frame(title, series, top, |v| human::count(v as u64))
    }
}

impl Cutter<'_, '_> {
    /// Share of all pool processes that was busy.
    pub fn busy(&self) -> (Line, Chart) {
        let now = self.cx.now;
        let heard = self.cx.last_heard().now;
        let online: Vec<_> = self.cx.model.workers().into_iter().filter(|(_, w)| w.is_online(heard)).collect();
        let cells = self.window.stretches(1, now).count();
        let mut sums = vec![(0.0, 0.0); cells];
        for (_, worker) in &online {
            let weight = worker.pool_size().unwrap_or(1) as f64;
            for (sum, share) in sums.iter_mut().zip(shares(self.window, worker, cells as u16, now)) {
                if let Some(share) = share {
                    *sum = (sum.0 + share * weight, sum.1 + weight);
                }
            }
        }
        let values: Vec<Option<f64>> = sums.into_iter().map(|(busy, all)| (all > 0.0).then(|| busy / all)).collect();
        let (running, places) = online.iter().fold((0, 0), |(running, places), (_, worker)| {
            (running + worker.running().unwrap_or(0), places + worker.pool_size().unwrap_or(0))
        });
        let shown = match self.window.cursor {
            Some(_) => self.read(&values, human::percent),
            None => format!("{running} of {}", human::plural(places, "process")),
        };
        let title = vec![(Clean::own("pools busy  "), Role::Heading), (clean(&shown), Role::Series1)];
        self.frame(title, vec![(values, Role::Series1)], 1.0, |v| format!("{:.0}%", v * 100.0))
    }
}

fn greatest(lines: &[&Vec<Option<f64>>]) -> f64 {
    lines.iter().flat_map(|values| values.iter().flatten()).fold(0.0, |a: f64, b| a.max(*b))
}

/// Where a window begins and ends, in words.
pub fn times(window: &Window, cx: &Cx<'_>) -> (Clean, Clean) {
    let minute = |at: Stamp| human::minute(at, cx.shown_zone());
    let end = if window.is_held() { minute(window.end(cx.now)) } else { "now".into() };
    (clean(&minute(window.begin(cx.now))), clean(&end))
}

/// The moments with a name that lie in a window, by the share of it that has passed until then.
pub fn marks(window: &Window, cx: &Cx<'_>) -> Vec<(f64, Clean)> {
    cx.model.marks().all().filter_map(|m| Some((window.share(m.at, cx.now)?, clean(&m.text)))).collect()
}

/// How the pool of each worker was used, one line of bars each.
pub fn shares(window: &Window, worker: &crate::state::worker::Worker, cells: u16, now: Stamp) -> Vec<Option<f64>> {
    let window = window.on(cells);
    let known = window.stretches(1, now).filter(|(begin, _)| *begin < now);
    let mut values = worker.shares(known.map(|(begin, end)| (begin, end.min(now))));
    values.resize(usize::from(cells), None);
    values
}
