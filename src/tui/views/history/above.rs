//! What stands over the list: what the filter selects, added up, and a chart of its span of time.

use ratatui::layout::Rect;

use super::span::{self, Span};
use crate::clock::Stamp;
use crate::history::lookup::{Chart as Points, Sums};
use crate::human;
use crate::state::State;
use crate::text::{Clean, clean};
use crate::tui::page::{Page, Target};
use crate::tui::theme::{self, Role};
use crate::tui::view::Cx;
use crate::tui::views::task::Line;
use crate::tui::widgets::chart::{Chart, LABELS, Series, round_up};

/// What is painted over the list.
#[derive(Default)]
pub struct Above {
    /// Rows it takes.
    pub rows: u16,
    totals: Line,
    title: Line,
    chart: Option<Chart>,
    /// The shares of time where what is chosen begins and ends.
    chosen: Option<(f64, f64)>,
}

/// Rows below which there is no room for totals, and for a chart.
const LOW: u16 = 18;
const TALL: u16 = 30;

/// Points of a chart on a screen of some width: two to a column.
pub fn points(width: u16) -> u32 {
    u32::from(width.saturating_sub(2 + LABELS)).max(20) * 2
}

impl Above {
    /// Makes it for what is known.
    pub fn sync(&mut self, sums: &Sums, span: &Span, cx: &Cx<'_>) {
        let height = cx.size.height;
        self.totals = totals(sums);
        let points = sums.chart.as_ref().filter(|chart| height >= TALL && !chart.points.is_empty());
        self.chart = points.map(|points| drawn(points, cx));
        self.title = points.map(|points| title(points, span, cx)).unwrap_or_default();
        self.chosen = points.and_then(|points| {
            let all = points.points.len();
            let (first, last) = span.chosen(all)?;
            Some((first as f64 / all as f64, (last + 1) as f64 / all as f64))
        });
        self.rows = match height {
            0..LOW => 0,
            LOW..TALL => 1,
            // The room is the chart's before it is there: the list doesn't jump.
            _ => 2 + (height / 6).clamp(5, 10),
        };
    }

    /// Paints it.
    pub fn draw(&self, page: &mut Page<'_>, area: Rect) {
        if area.height == 0 {
            return;
        }
        page.whole_pieces(area.x + 1, area.y, area.width.saturating_sub(2), &self.totals);
        let Some(chart) = self.chart.as_ref().filter(|_| area.height > 3) else { return };
        page.whole_pieces(area.x + 1, area.y + 1, area.width.saturating_sub(2), &self.title);
        let place = Rect { x: area.x + 1, y: area.y + 2, width: area.width.saturating_sub(2), height: area.height - 2 };
        chart.draw(page, place);
        let plot = Chart::plot_area(place);
        if let Some((from, to)) = self.chosen {
            let column = |share: f64| (share * f64::from(plot.width)).round() as u16;
            let (from, to) = (column(from).min(plot.width.saturating_sub(1)), column(to).min(plot.width));
            page.select(Rect { x: plot.x + from, width: to.saturating_sub(from).max(1), ..plot });
        }
        for column in 0..plot.width {
            let share = (u32::from(column) * 1_000 / u32::from(plot.width)) as u16;
            page.clickable(Rect { x: plot.x + column, width: 1, ..plot }, Target::Share(share));
        }
    }
}

/// How many tasks there are in each state, and how long those took that succeeded.
fn totals(sums: &Sums) -> Line {
    let mut line: Line = Vec::new();
    let Some(totals) = &sums.totals else {
        if sums.span.is_some() {
            line.push((Clean::own("adding up …"), Role::Faint));
        }
        return line;
    };
    for (state, n) in &totals.states {
        let known = State::parse(state);
        let (glyph, role) = known.map_or(("?", Role::Text), |state| (theme::glyph(state), theme::role(state)));
        line.push((crate::clean!("{glyph} "), role));
        line.push((crate::clean!("{} {}   ", human::thousands(*n), state.to_lowercase()), Role::Text));
    }
    // The loudest first.
    let loud = |piece: &[(Clean, Role)]| piece.first().map_or(2, |(_, role)| 1 - u8::from(*role == Role::Fail));
    let mut pairs: Vec<Line> = line.chunks(2).map(<[_]>::to_vec).collect();
    pairs.sort_by_key(|pair| loud(pair));
    let mut line = pairs.concat();
    let of_minutes = sums.chart.as_ref().filter(|chart| !chart.wider).map(|chart| &chart.runtimes);
    if let Some(runtimes) = totals.runtimes.as_ref().or(of_minutes).filter(|runtimes| !runtimes.is_empty()) {
        // The word alone says nothing: it goes with the first figure where there is no room.
        for (name, share) in [("runtime  p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
            let value = runtimes.quantile(share).map_or("-".into(), human::seconds);
            line.push((crate::clean!("{name} {value}  "), Role::Text));
        }
    }
    line
}

/// Minutes in words: `5 min`, `4 h`, `1 d`.
fn step(minutes: u32) -> String {
    match minutes {
        n if n.is_multiple_of(1_440) => format!("{} d", n / 1_440),
        n if n.is_multiple_of(60) => format!("{} h", n / 60),
        1 => "minute".into(),
        n => format!("{n} min"),
    }
}

/// A moment in a chart: with its day, unless it is of the last one.
pub fn moment(at: Stamp, cx: &Cx<'_>) -> String {
    let minute = human::minute(at, cx.shown_zone());
    match cx.now.since(at).as_secs() {
        0..72_000 => minute,
        _ => format!("{} {minute}", human::day(at, cx.now, cx.shown_zone())),
    }
}

fn title(points: &Points, span: &Span, cx: &Cx<'_>) -> Line {
    let chosen = span.chosen(points.points.len());
    let (first, last) = chosen.unwrap_or((0, points.points.len().saturating_sub(1)));
    let within = points.points.get(first..=last).unwrap_or_default();
    let (done, failed) = within.iter().fold((0, 0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    let mut title: Line = Vec::new();
    match span.times(points) {
        Some((from, to)) => {
            let text = crate::clean!("{} – {}  ", moment(from, cx), moment(to.min(cx.now), cx));
            title.push((text, Role::Accent));
        }
        None => {
            // Minutes know names and nothing else: what the filter asks for besides is not in the chart.
            let whose = match (points.wider, points.names.is_empty()) {
                (false, _) => "tasks".to_owned(),
                (true, true) => "all tasks".to_owned(),
                (true, false) => format!("all of {}", points.names),
            };
            title.push((crate::clean!("{whose} per {}  ", step(points.step)), Role::Heading));
        }
    }
    title.push((crate::clean!("done {}  ", human::thousands(done)), Role::Series1));
    title.push((crate::clean!("failed {}", human::thousands(failed)), Role::Series2));
    if chosen.is_none() {
        let peak = points.points.iter().map(|(done, failed)| done + failed).max().unwrap_or(0);
        title.push((crate::clean!("   peak {}", human::thousands(peak)), Role::Faint));
    }
    title
}

/// What the file keeps, and what has not been written down yet.
fn marks<'m>(points: &'m Points, cx: &Cx<'m>) -> Vec<(Stamp, &'m str)> {
    let same = |at: Stamp, text: &str| {
        points.marks.iter().any(|(kept, name)| name == text && kept.since(at).max(at.since(*kept)).as_millis() < 1)
    };
    let live = cx.model.marks().all().filter(|mark| !same(mark.at, &mark.text));
    let mut marks: Vec<(Stamp, &str)> = live.map(|mark| (mark.at, mark.text.as_str())).collect();
    marks.extend(points.marks.iter().map(|(at, text)| (*at, text.as_str())));
    marks.sort_by_key(|(at, _)| *at);
    marks
}

fn drawn(points: &Points, cx: &Cx<'_>) -> Chart {
    let of = |pick: fn(&(u64, u64)) -> u64| points.points.iter().map(|point| Some(pick(point) as f64)).collect();
    let (done, failed): (Vec<Option<f64>>, Vec<Option<f64>>) = (of(|p| p.0), of(|p| p.1));
    let greatest = done.iter().chain(&failed).flatten().copied().fold(0.0, f64::max);
    let top = round_up(greatest).max(2.0);
    let (begin, end) = (span::begins(points, 0), span::begins(points, points.points.len()));
    let whole = end.since(begin).as_secs_f64().max(1.0);
    let share = |at: Stamp| (at >= begin && at <= end).then(|| at.since(begin).as_secs_f64() / whole);
    let marks = marks(points, cx).into_iter().filter_map(|(at, text)| Some((share(at)?, clean(text))));
    let until = if end >= cx.now { "now".to_owned() } else { moment(end, cx) };
    Chart {
        series: vec![Series { values: failed, role: Role::Series2 }, Series { values: done, role: Role::Series1 }],
        labels: [top, top / 2.0, 0.0].map(|value| crate::clean!("{}", human::count(value as u64))),
        top,
        target: None,
        times: (clean(&moment(begin, cx)), clean(&until)),
        marks: marks.collect(),
        cursor: None,
    }
}
