//! Tab 3: how the cluster does over time, for all tasks or one.

mod charts;
mod top;
mod window;

use std::time::Duration;

use ratatui::layout::Rect;

use crate::filter::{Filter, Word};
use crate::human;
use crate::text::{Clean, clean};
use crate::tui::action::{Action, Scope};
use crate::tui::layers::Choose;
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::widgets::chart::{Chart, time_axis};
use crate::tui::widgets::spark;
use crate::tui::widgets::table::Table;

use super::list::Cursor;
use super::task::Line;
use charts::Cutter;
use top::By;
use window::Window;

/// See the module.
#[derive(Default)]
pub struct Monitor {
    window: Window,
    /// Only this task.
    only: Option<String>,
    by: By,
    sorting: bool,
    /// The first chart that is shown, where there is no room for all.
    first: usize,
    charts: Vec<(Line, Chart)>,
    heat: Vec<Heat>,
    /// Begin and end of the heat lines, and moments with a name between them.
    heat_times: ((Clean, Clean), Vec<(f64, Clean)>),
    cursor: Cursor<String>,
    /// The worker whose heat line the cursor is on; else it is on a task.
    worker: Option<String>,
    names: Vec<String>,
    /// Workers there are.
    online: usize,
    top: Table,
    head: Line,
    empty: Vec<Line>,
    plan: Plan,
    /// Nothing ended lately: only the past moves on, and it can wait.
    quiet: bool,
}

/// How the pool of a worker was used.
struct Heat {
    name: String,
    /// Running tasks and places.
    now: Clean,
    cells: Clean,
}

/// Where everything goes on a screen of some size.
#[derive(Clone, Copy, Default, Debug)]
struct Plan {
    columns: u16,
    /// Rows of charts, and the height of each.
    chart_rows: u16,
    chart_height: u16,
    heat_rows: u16,
    top_rows: u16,
}

/// Columns of a worker's name beside its heat line.
const NAMES: u16 = 24;
/// Charts there are.
const CHARTS: u16 = 6;

impl Plan {
    fn new(width: u16, height: u16, workers: usize) -> Self {
        let columns = match width {
            0..100 => 1,
            100..180 => 2,
            _ => 3,
        };
        let all = CHARTS.div_ceil(columns);
        let body = height.saturating_sub(1);
        // The table of tasks keeps at least five rows; charts are at least five high.
        let room = body.saturating_sub(6.min(body / 2));
        let chart_rows = (room / 6).clamp(u16::from(room >= 4), all);
        let heat_wanted = (workers as u16).min(8) + 2;
        let left = body.saturating_sub(chart_rows * 6 + 6);
        let heat_rows = if chart_rows == all && left >= 3 && workers > 0 { heat_wanted.min(left) } else { 0 };
        let spare = left.saturating_sub(heat_rows);
        // What is left goes to the charts first, then to the table.
        let taller = (spare / 2).checked_div(chart_rows).unwrap_or(0).min(6);
        let chart_height = room.checked_div(chart_rows).unwrap_or(0).min(6 + taller);
        let top_rows = body.saturating_sub(chart_rows * chart_height + heat_rows);
        Self { columns, chart_rows, chart_height, heat_rows, top_rows }
    }

    fn charts(self) -> usize {
        usize::from(self.columns * self.chart_rows)
    }
}

impl Monitor {
    fn sync_charts(&mut self, cx: &Cx<'_>) {
        let width = cx.size.width.saturating_sub(2) / self.plan.columns;
        let only = self.only.as_deref().and_then(|name| cx.model.name_stats(name));
        self.window = self.window.on(Chart::columns(width.saturating_sub(2)).max(1));
        let cutter = Cutter { window: &self.window, cx, only };
        let [rates, success] = cutter.rates();
        let series = cx.model.series();
        let runtimes = cutter.spread("runtime", only.map_or(&series.runtimes, |stats| &stats.runtimes));
        let mut charts = vec![rates, runtimes, cutter.queues(), success];
        // Waits and pools belong to all tasks together.
        if only.is_none() {
            charts.insert(3, cutter.spread("wait", &series.waits));
            charts.push(cutter.busy());
        }
        self.first = self.first.min(charts.len().saturating_sub(self.plan.charts().max(1)));
        self.charts = charts.into_iter().skip(self.first).take(self.plan.charts()).collect();
    }

    fn sync_heat(&mut self, cx: &Cx<'_>) {
        let cells = cx.size.width.saturating_sub(NAMES + 12);
        let window = self.window.on(cells.max(1));
        self.heat_times = (charts::times(&window, cx), charts::marks(&window, cx));
        let heard = cx.last_heard().now;
        let online = cx.model.workers().into_iter().filter(|(_, w)| w.is_online(heard));
        self.heat = online
            .map(|(name, worker)| {
                let values = charts::shares(&self.window, worker, cells, cx.now);
                let now = match (worker.running(), worker.pool_size()) {
                    (Some(n), Some(size)) => crate::clean!("{n}/{size}"),
                    (Some(n), None) => crate::clean!("{n}"),
                    _ => Clean::default(),
                };
                Heat { name: name.to_owned(), now, cells: spark::bars(&values, Some(1.0)) }
            })
            .take(usize::from(self.plan.heat_rows.saturating_sub(2)))
            .collect();
        self.worker = self.worker.take().filter(|worker| self.heat.iter().any(|heat| heat.name == *worker));
    }

    fn sync_head(&mut self, cx: &Cx<'_>) {
        let length = human::span(u64::from(self.window.secs()));
        let length = length.trim_end_matches(" 00s").trim_end_matches(" 00m").to_owned();
        let mut head = vec![(Clean::own("window "), Role::Muted), (clean(&length), Role::Accent)];
        if self.window.is_held() {
            let end = human::clock(self.window.end(cx.now), cx.shown_zone());
            head.push((crate::clean!(" until {end}"), Role::Warn));
        }
        head.push((Clean::own("   "), Role::Muted));
        match &self.only {
            Some(name) => head.push((clean(name), Role::Accent)),
            None => head.push((Clean::own("all tasks"), Role::Text)),
        }
        if let Some(at) = self.window.cursor {
            let at = human::clock(at, cx.shown_zone());
            head.push((crate::clean!("   values at {at}, ⏎ opens its tasks"), Role::Accent));
        }
        self.head = head;
    }

    /// Moves the cursor between the heat lines and the tasks below them; false where it stays among tasks.
    fn go_among_workers(&mut self, action: Action) -> bool {
        let at = self.worker.as_ref().and_then(|worker| self.heat.iter().position(|heat| heat.name == *worker));
        let first_task = self.cursor.at.is_none() || self.names.first() == self.cursor.at.as_ref();
        let to = match (action, at) {
            (Action::Up, None) if first_task => self.heat.len().checked_sub(1),
            (Action::Up, Some(at)) => Some(at.saturating_sub(1)),
            (Action::Down, Some(at)) => Some(at + 1),
            (Action::Top | Action::Bottom | Action::PageDown, Some(_)) => None,
            _ => return false,
        };
        self.worker = to.and_then(|at| self.heat.get(at)).map(|heat| heat.name.clone());
        // The last line above leads down to the first task; all else goes on among the tasks.
        self.worker.is_some() || action == Action::Down
    }

    /// Opens the tasks of the row under the cursor, within the stretch that is read.
    fn open(&self, cx: &Cx<'_>) -> Outcome {
        let (from, to) = self.window.span(cx.now);
        let time = |at: crate::clock::Stamp| human::iso(at, cx.zone);
        let worker = self.worker.as_ref().map(|name| Filter::exactly(Word::Worker, [name.as_str()]).to_string());
        let mut filter = match (&self.only, self.window.cursor) {
            (None, _) if worker.is_some() => String::new(),
            (Some(name), _) => format!("task:={}", crate::filter::quoted(name)),
            (None, Some(_)) => String::new(),
            (None, None) => match &self.cursor.at {
                Some(name) => format!("task:={}", crate::filter::quoted(name)),
                None => return Outcome::Done,
            },
        };
        filter.extend(worker.map(|worker| format!(" {worker}")));
        if self.window.cursor.is_some() || self.window.is_held() {
            filter.push_str(&format!(" since:{} until:{}", time(from), time(to)));
        } else {
            filter.push_str(&format!(" since:{}", human::short_span(u64::from(self.window.secs()))));
        }
        Outcome::Effect(Effect::OpenTasks { filter: filter.trim().to_owned() })
    }
}

impl View for Monitor {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Opens, Scope::Monitor, Scope::Panes, Scope::Sorts, Scope::List, Scope::Global]
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        match action {
            Action::WindowShorter => self.window.shorter(),
            Action::WindowLonger => self.window.longer(),
            Action::CursorEarlier | Action::CursorLater => self.window.read(action == Action::CursorLater, cx.now),
            Action::Zoom => self.window.zoom(cx.now),
            Action::NextPane => self.first += 1,
            Action::PreviousPane => self.first = self.first.saturating_sub(1),
            Action::OnlyThis => {
                self.only = match self.only.take() {
                    Some(_) => None,
                    None => self.cursor.at.clone(),
                };
            }
            Action::Open => return self.open(cx),
            Action::Sort => {
                self.sorting = true;
                let at = top::ORDERS.iter().position(|(by, ..)| *by == self.by).unwrap_or(0);
                let lines = top::ORDERS.iter().map(|(_, name, _)| (*name).to_owned());
                return Outcome::Effect(Effect::Open(Box::new(Choose::lines("sort tasks by", lines, at))));
            }
            Action::Back if self.window.back() || self.only.take().is_some() => {}
            // The greatest always comes first here.
            Action::Reverse => {}
            _ if self.go_among_workers(action) => {}
            _ if self.cursor.perform(action, &self.names, usize::from(self.plan.top_rows)) => {}
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn refuse(&self, action: Action, _cx: &Cx<'_>) -> Option<String> {
        let task = self.only.is_some() || (self.worker.is_none() && self.cursor.at.is_some());
        (action == Action::OnlyThis && !task).then(|| "no task is chosen".into())
    }

    fn answer(&mut self, answer: &Answer, _cx: &mut Cx<'_>) -> Outcome {
        if let (true, Answer::Choice(i)) = (std::mem::take(&mut self.sorting), answer)
            && let Some((by, ..)) = top::ORDERS.get(*i)
        {
            self.by = *by;
        }
        Outcome::Done
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        match target {
            Target::Heat(row, share) => {
                self.window.cursor = Some(self.window.at(f64::from(share) / 1_000.0, cx.now));
                self.worker = self.heat.get(row).map(|heat| heat.name.clone());
            }
            Target::Row(row) => {
                self.worker = None;
                let at = self.cursor.at.clone();
                self.cursor.go(self.cursor.top + row, &self.names);
                if at == self.cursor.at {
                    return self.open(cx);
                }
            }
            Target::Column(i) => {
                let title = self.top.columns.get(i).map(|c| c.title);
                if let Some((by, ..)) = top::ORDERS.iter().find(|(_, _, t)| Some(*t) == title) {
                    self.by = *by;
                }
            }
            Target::Share(share) => self.window.cursor = Some(self.window.at(f64::from(share) / 1_000.0, cx.now)),
            _ => return Outcome::Ignored,
        }
        Outcome::Done
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        let (online, _) = cx.model.online(cx.last_heard().now);
        self.online = online;
        self.plan = Plan::new(cx.size.width, cx.size.height, online);
        let lately = cx.model.series().recent(10, cx.now);
        self.quiet = lately.succeeded + lately.failed + lately.retried == 0;
        self.window.fit(cx.model.watching_since().map_or(Duration::MAX, |since| cx.now.since(since)));
        self.sync_head(cx);
        self.sync_charts(cx);
        self.sync_heat(cx);
        self.names = top::sync(&mut self.top, self.by, self.window.secs(), cx.size.width, cx);
        let rows = usize::from(self.plan.top_rows.saturating_sub(1));
        let selected = self.cursor.settle(&self.names, rows);
        self.top.selected = selected.map(|s| s - self.cursor.top).filter(|_| self.worker.is_none());
        self.top.rows = self.top.rows.drain(..).skip(self.cursor.top).take(rows).collect();
        self.empty = if self.names.is_empty() {
            let text = "No task ended in this window. Rates and runtimes appear as tasks end.";
            super::list::unseen(cx).unwrap_or_else(|| vec![vec![(Clean::own(text), Role::Muted)]])
        } else {
            Vec::new()
        };
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        page.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.head);
        let plan = self.plan;
        let width = area.width.saturating_sub(2) / plan.columns.max(1);
        let mut y = area.y + 1;
        for row in self.charts.chunks(usize::from(plan.columns.max(1))) {
            for (i, (title, chart)) in row.iter().enumerate() {
                let x = area.x + 1 + i as u16 * width;
                page.whole_pieces(x, y, width.saturating_sub(2), title);
                let place =
                    Rect { x, y: y + 1, width: width.saturating_sub(2), height: plan.chart_height.saturating_sub(2) };
                chart.draw(page, place);
                let plot = Chart::plot_area(place);
                for column in 0..plot.width {
                    let share = (u32::from(column) * 1_000 / u32::from(plot.width)) as u16;
                    page.clickable(Rect { x: plot.x + column, width: 1, ..plot }, Target::Share(share));
                }
            }
            y += plan.chart_height;
        }
        y = self.draw_heat(page, area, y);
        let table = Rect { y, height: (area.y + area.height).saturating_sub(y), ..area };
        self.top.draw(page, table);
        page.instead_of_rows(table, &self.empty);
    }

    fn copies(&self, _cx: &Cx<'_>) -> Vec<(String, String)> {
        match &self.worker {
            Some(worker) => vec![("worker".to_owned(), worker.clone())],
            None => self.cursor.at.iter().map(|name| ("task".to_owned(), name.clone())).collect(),
        }
    }

    fn pause_between(&self) -> u64 {
        if self.quiet { 5_000 } else { 2_000 }
    }
}

impl Monitor {
    fn draw_heat(&self, page: &mut Page<'_>, area: Rect, y: u16) -> u16 {
        let room = self.plan.heat_rows;
        if room < 3 {
            return y;
        }
        let width = area.width.saturating_sub(NAMES + 12);
        page.put(area.x + 2, y, NAMES + 6, Clean::own("WORKERS  share of pool busy"), Role::Heading);
        let (times, marks) = &self.heat_times;
        time_axis(page, Rect { x: area.x + NAMES + 9, y, width, height: 1 }, times, marks);
        for (i, heat) in self.heat.iter().enumerate() {
            let y = y + 1 + i as u16;
            if self.worker.as_ref() == Some(&heat.name) {
                page.select(Rect { x: area.x, y, width: area.width, height: 1 });
                page.put(area.x, y, 1, Clean::own("▌"), Role::Accent);
            }
            page.put_name(area.x + 2, y, NAMES - 2, &clean(&heat.name), Role::Text);
            page.put_right(area.x + NAMES, y, 7, &heat.now, Role::Muted);
            page.put(area.x + NAMES + 9, y, width, &heat.cells, Role::Series1);
            for column in 0..width {
                let share = (u32::from(column) * 1_000 / u32::from(width)) as u16;
                page.clickable(Rect { x: area.x + NAMES + 9 + column, y, width: 1, height: 1 }, Target::Heat(i, share));
            }
        }
        if self.heat.len() < self.online {
            let more = crate::clean!("and {} more", self.online - self.heat.len());
            page.put(area.x + 2, y + room - 1, area.width.saturating_sub(2), &more, Role::Faint);
        }
        y + room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_fits_whatever_the_size() {
        for width in [40, 80, 120, 200, 400] {
            for height in 1..80 {
                for workers in [0, 1, 5, 50] {
                    let plan = Plan::new(width, height, workers);
                    let used = 1 + plan.chart_rows * plan.chart_height + plan.heat_rows + plan.top_rows;
                    assert!(used <= height.max(1), "{width}x{height} {workers}: {plan:?}");
                }
            }
        }
    }
}
