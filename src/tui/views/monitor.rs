//! Tab 3: how the cluster does over time.

use ratatui::layout::Rect;

use crate::human;
use crate::state::series::Ring;
use crate::state::stats::Counts;
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::page::Page;
use crate::tui::theme::Role;
use crate::tui::view::{Cx, Outcome, View};
use crate::tui::widgets::chart::{Chart, Series, round_up};
use crate::tui::widgets::spark;
use crate::tui::widgets::table::{Cell, Column, Row, Table};

use super::task::Line;

/// Windows of time: seconds.
const WINDOWS: [u32; 5] = [60, 300, 900, 3_600, 21_600];

/// See the module.
pub struct Monitor {
    window: usize,
    charts: Vec<(Line, Chart)>,
    heat: Vec<(Clean, Clean, Line)>,
    top: Table,
    failing: Vec<Line>,
    layout: (u16, u16),
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            window: 2,
            charts: Vec::new(),
            heat: Vec::new(),
            top: Table::default(),
            failing: Vec::new(),
            layout: (0, 0),
        }
    }
}

/// Columns of a worker's name beside its heat line.
const NAMES: u16 = 24;

impl Monitor {
    fn secs(&self) -> u32 {
        WINDOWS.get(self.window).copied().unwrap_or(900)
    }

    /// The counts of the window in `n` points, by the second.
    fn rates(&self, n: usize, cx: &Cx<'_>) -> Vec<Option<Counts>> {
        let series = cx.model.series();
        let secs = self.secs();
        let ring: &Ring<Counts> = if secs <= 900 { &series.seconds } else { &series.tens };
        let since = cx.model.first_event();
        let buckets: Vec<Counts> = ring.last((secs / ring.step()) as usize, cx.now).collect();
        let n = n.min(buckets.len()).max(1);
        (0..n)
            .map(|i| {
                let (from, to) = (i * buckets.len() / n, (i + 1) * buckets.len() / n);
                let age = u64::from(secs) * (n - i - 1) as u64 / n as u64;
                // Before the first event nothing is known, which is not the same as nothing happening.
                since.filter(|since| cx.now.since(*since).as_secs() >= age)?;
                let mut sum = Counts::default();
                buckets[from..to].iter().for_each(|c| sum.add(c));
                Some(sum)
            })
            .collect()
    }

    fn times(&self, cx: &Cx<'_>) -> (Clean, Clean) {
        let begin = cx.now - std::time::Duration::from_secs(u64::from(self.secs()));
        (clean(&human::minute(begin, cx.zone)), clean(&human::minute(cx.now, cx.zone)))
    }

    fn sync_charts(&mut self, width: u16, cx: &Cx<'_>) {
        let points = Chart::points(width).min(self.secs() as usize);
        let counts = self.rates(points, cx);
        let per_point = f64::from(self.secs()) / counts.len().max(1) as f64;
        let recent = cx.model.series().recent(10, cx.now);
        let rate = |f: fn(&Counts) -> u32| -> Vec<Option<f64>> {
            counts.iter().map(|c| c.as_ref().map(|c| f64::from(f(c)) / per_point)).collect()
        };
        let now = |n: u32| human::rate(f64::from(n) / 10.0);
        let tasks = vec![
            (Clean::own("tasks/s  "), Role::Heading),
            (crate::clean!("ok {}  ", now(recent.succeeded)), Role::Series1),
            (crate::clean!("fail {}  ", now(recent.failed)), Role::Series2),
            (crate::clean!("retry {}", now(recent.retried)), Role::Series3),
        ];
        let series = vec![
            (rate(|c| c.failed), Role::Series2),
            (rate(|c| c.retried), Role::Series3),
            (rate(|c| c.succeeded), Role::Series1),
        ];
        let times = self.times(cx);
        self.charts = vec![(tasks, chart(series, &times, human::rate))];
        self.charts.push(self.runtimes(width, &times, cx));
        self.charts.push(queues(self.secs(), &times, cx));
        let success: Vec<Option<f64>> = counts.iter().map(|c| c.as_ref().and_then(Counts::success)).collect();
        let minute = cx.model.series().recent(60, cx.now).success();
        let title = vec![
            (Clean::own("success rate  "), Role::Heading),
            (crate::clean!("{}", minute.map_or("-".into(), human::percent)), Role::Series1),
            (Clean::own("  over the last minute"), Role::Faint),
        ];
        let chart = Chart {
            series: vec![Series { values: success, role: Role::Series1 }],
            labels: (Clean::own("100%"), Clean::own("0%")),
            top: 1.0,
            times,
        };
        self.charts.push((title, chart));
    }

    fn runtimes(&self, width: u16, times: &(Clean, Clean), cx: &Cx<'_>) -> (Line, Chart) {
        let ring = &cx.model.series().runtimes;
        let buckets: Vec<_> = ring.last((self.secs() / ring.step()) as usize, cx.now).collect();
        let points = Chart::points(width);
        let line = |f: fn(&crate::state::stats::Percentiles) -> f32| {
            let values: Vec<Option<f64>> = buckets.iter().map(|p| (p.samples > 0).then(|| f64::from(f(p)))).collect();
            stretch(&spark::squeeze(&values, points), points)
        };
        let recent = cx.model.series().recent.percentiles();
        let show = |v: f32| if recent.samples > 0 { human::seconds(f64::from(v)) } else { "-".into() };
        let title = vec![
            (Clean::own("runtime  "), Role::Heading),
            (crate::clean!("p50 {}  ", show(recent.p50)), Role::Series1),
            (crate::clean!("p95 {}  ", show(recent.p95)), Role::Series3),
            (crate::clean!("p99 {}", show(recent.p99)), Role::Series2),
        ];
        let series =
            vec![(line(|p| p.p50), Role::Series1), (line(|p| p.p95), Role::Series3), (line(|p| p.p99), Role::Series2)];
        (title, chart(series, times, human::seconds))
    }

    fn sync_top(&mut self, width: u16, rows: usize, cx: &Cx<'_>) {
        let buckets = (self.secs() as usize / 10).clamp(6, 90);
        let secs = (buckets * 10) as f64;
        let mut names: Vec<_> =
            cx.model.by_name().map(|(name, stats)| (name, stats.recent(buckets, cx.now), stats)).collect();
        let busy: f64 = names.iter().map(|(_, b, _)| f64::from(b.busy)).sum();
        names.sort_by(|a, b| b.1.busy.total_cmp(&a.1.busy).then(a.0.cmp(b.0)));
        let wide = width >= 90;
        self.top.columns =
            vec![Column::left("TOP TASKS", 0), Column::right("RATE/s", 6), Column::left("TIME SHARE", 16)];
        if wide {
            self.top.columns.extend([Column::right("P50", 7), Column::right("P95", 7), Column::right("P99", 7)]);
        }
        self.top.columns.push(Column::right("FAIL", 6));
        self.top.rows = names
            .into_iter()
            .filter(|(_, b, _)| b.done + b.failed + b.retried > 0)
            .take(rows)
            .map(|(name, recent, stats)| {
                let ended = recent.done + recent.failed;
                let share = if busy > 0.0 { f64::from(recent.busy) / busy } else { 0.0 };
                let (bar, _) = spark::gauge(share, 10);
                let fail = f64::from(recent.failed) / f64::from(ended.max(1));
                let mut cells = vec![
                    Cell::plain(clean(name)),
                    Cell::plain(clean(&human::rate(f64::from(ended) / secs))),
                    Cell::new(crate::clean!("{:>4.0}% {bar}", share * 100.0), Role::Muted),
                ];
                if wide {
                    let p = stats.runtimes.percentiles();
                    cells.extend([p.p50, p.p95, p.p99].map(|v| {
                        Cell::new(
                            if p.samples > 0 { clean(&human::seconds(f64::from(v))) } else { Clean::own("-") },
                            Role::Muted,
                        )
                    }));
                }
                let role = if fail > 0.05 { Role::Fail } else { Role::Muted };
                cells.push(Cell::new(crate::clean!("{:.1}%", fail * 100.0), role));
                Row { cells, marked: false, role: None }
            })
            .collect();
    }

    fn sync_heat(&mut self, width: u16, cx: &Cx<'_>) {
        let cells = usize::from(width.saturating_sub(NAMES + 12));
        let buckets = (self.secs() as usize / 10).clamp(6, 360);
        self.heat = cx
            .model
            .workers()
            .into_iter()
            .filter(|(_, w)| w.is_online(cx.now))
            .map(|(name, worker)| {
                let values = worker.shares(buckets, cx.now);
                let now = match (worker.running(), worker.pool_size()) {
                    (Some(n), Some(size)) => crate::clean!("{n}/{size}"),
                    (Some(n), None) => crate::clean!("{n}"),
                    _ => Clean::default(),
                };
                let line = spark::bars(&stretch(&spark::squeeze(&values, cells), cells), Some(1.0));
                (clean(name), now, vec![(line, Role::Series1)])
            })
            .collect();
    }

    fn sync_failing(&mut self, cx: &Cx<'_>) {
        self.failing = cx
            .model
            .failures()
            .groups()
            .into_iter()
            .take(8)
            .map(|group| {
                let name = |sym| cx.model.name(sym).unwrap_or("?").to_owned();
                vec![
                    (crate::clean!("✖ {:>6}  ", human::count(group.count)), Role::Fail),
                    (crate::clean!("{:<9}  ", human::clock(group.last, cx.zone)), Role::Muted),
                    (crate::clean!("{}  ", name(group.task)), Role::Text),
                    (clean(&name(group.exception)), Role::Muted),
                ]
            })
            .collect();
    }
}

/// Repeats values so that they fill `n` places: ten-second values on a finer chart.
fn stretch(values: &[Option<f64>], n: usize) -> Vec<Option<f64>> {
    if values.is_empty() || values.len() >= n {
        return values.to_vec();
    }
    (0..n).map(|i| values[i * values.len() / n]).collect()
}

fn chart(series: Vec<(Vec<Option<f64>>, Role)>, times: &(Clean, Clean), label: fn(f64) -> String) -> Chart {
    let greatest = series.iter().flat_map(|(values, _)| values).flatten().fold(0.0, |a: f64, b| a.max(*b));
    let top = round_up(greatest);
    Chart {
        series: series.into_iter().map(|(values, role)| Series { values, role }).collect(),
        labels: (clean(&label(top)), Clean::own("0")),
        top,
        times: times.clone(),
    }
}

/// The three longest queues.
fn queues(secs: u32, times: &(Clean, Clean), cx: &Cx<'_>) -> (Line, Chart) {
    let mut queues = cx.model.queues();
    queues.sort_by_key(|(_, q)| std::cmp::Reverse(q.depth.ready));
    let roles = [Role::Series1, Role::Series3, Role::Series2];
    let mut title = vec![(Clean::own("waiting  "), Role::Heading)];
    let mut series = Vec::new();
    for ((name, queue), role) in queues.into_iter().zip(roles) {
        let short = crate::text::cut_middle(clean(name).as_str(), 14).into_owned();
        title.push((crate::clean!("{short} {}  ", human::count(queue.depth.ready)), role));
        let values = queue
            .history
            .last_with_open((secs as usize / 10).clamp(6, 360), cx.now)
            .map(|d| (d > 0).then(|| f64::from(d - 1)))
            .collect::<Vec<_>>();
        series.push((stretch(&values, 200), role));
    }
    (title, chart(series, times, |v| human::count(v as u64)))
}

impl View for Monitor {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Monitor, Scope::Global]
    }

    fn perform(&mut self, action: Action, _cx: &mut Cx<'_>) -> Outcome {
        match action {
            Action::WindowShorter => self.window = self.window.saturating_sub(1),
            Action::WindowLonger => self.window = (self.window + 1).min(WINDOWS.len() - 1),
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let (width, height) = (cx.size.width, cx.size.height);
        self.layout = (width, height);
        let columns = if width >= 100 { 2 } else { 1 };
        self.sync_charts((width - 2) / columns, cx);
        self.sync_heat(width, cx);
        self.sync_top(width, 12, cx);
        self.sync_failing(cx);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        let window = human::span(u64::from(self.secs()));
        let head = [
            (Clean::own("window "), Role::Muted),
            (clean(window.trim_end_matches(" 00s").trim_end_matches(" 00m")), Role::Accent),
            (Clean::own("  < shorter  > longer"), Role::Faint),
        ];
        page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &head);
        let columns: u16 = if area.width >= 100 { 2 } else { 1 };
        let chart_height = (area.height / 4).clamp(5, 12);
        let mut y = area.y + 1;
        let bottom = area.y + area.height;
        let width = area.width.saturating_sub(2) / columns;
        for row in self.charts.chunks(usize::from(columns)) {
            // On a small screen the last charts give way to the table of tasks.
            if y + chart_height > bottom.saturating_sub(6) {
                break;
            }
            for (i, (title, chart)) in row.iter().enumerate() {
                let x = area.x + 1 + i as u16 * width;
                page.pieces(x, y, width.saturating_sub(2), title);
                let plot = Rect { x, y: y + 1, width: width.saturating_sub(2), height: chart_height - 1 };
                chart.draw(page, plot);
            }
            y += chart_height;
        }
        y = self.draw_heat(page, area, y, bottom);
        if bottom > y + 2 {
            let rows = (self.top.rows.len() as u16 + 1).min(bottom - y);
            self.top.draw(page, Rect { x: area.x, y, width: area.width, height: rows });
            y += rows + 1;
        }
        if bottom > y + 2 && !self.failing.is_empty() {
            page.put(area.x + 2, y, area.width, Clean::own("FAILING SINCE WE WATCH"), Role::Heading);
            for (i, line) in self.failing.iter().enumerate().take(usize::from(bottom - y - 1)) {
                page.pieces(area.x + 2, y + 1 + i as u16, area.width.saturating_sub(4), line);
            }
        }
    }

    fn pause_between(&self) -> u64 {
        2_000
    }
}

impl Monitor {
    fn draw_heat(&self, page: &mut Page<'_>, area: Rect, y: u16, bottom: u16) -> u16 {
        let room = bottom.saturating_sub(y).saturating_sub(7);
        if self.heat.is_empty() || room < 2 {
            return y;
        }
        page.put(area.x + 2, y, area.width, Clean::own("WORKERS  share of the pool that is busy"), Role::Heading);
        let shown = usize::from((room - 1).min(8)).min(self.heat.len());
        for (i, (name, now, line)) in self.heat.iter().enumerate().take(shown) {
            let y = y + 1 + i as u16;
            page.put_name(area.x + 2, y, NAMES - 2, name, Role::Text);
            page.put_right(area.x + NAMES, y, 7, now, Role::Muted);
            page.pieces(area.x + NAMES + 9, y, area.width.saturating_sub(NAMES + 11), line);
        }
        if shown < self.heat.len() {
            let more = crate::clean!("and {} more", self.heat.len() - shown);
            page.put_right(area.x, y, area.width.saturating_sub(2), &more, Role::Faint);
        }
        y + shown as u16 + 2
    }
}
