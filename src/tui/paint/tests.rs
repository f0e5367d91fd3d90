//! The painter against a terminal: what it writes makes the screen it was given.

use proptest::prelude::*;
use ratatui::style::{Color, Modifier, Style};

use super::*;

/// Symbols of all kinds: narrow, wide, joined, and some that should never come.
const SYMBOLS: [&str; 14] = [" ", " ", "a", "b", "─", "▇", "⡇", "é", "漢", "字", "🦀", "e\u{301}", "", "✔"];
const COLORS: [Color; 6] =
    [Color::Reset, Color::Reset, Color::Red, Color::LightBlue, Color::Indexed(200), Color::Rgb(1, 2, 3)];
const MODIFIERS: [Modifier; 8] = [
    Modifier::empty(),
    Modifier::empty(),
    Modifier::empty(),
    Modifier::BOLD,
    Modifier::DIM,
    Modifier::ITALIC,
    Modifier::UNDERLINED,
    Modifier::REVERSED,
];

/// A run of equal cells: line, column, length, symbol, colours, modifier.
type Run = (u16, u16, u16, usize, usize, usize, usize);

fn run(size: Size) -> impl Strategy<Value = Run> {
    let ink = (0..SYMBOLS.len(), 0..COLORS.len(), 0..COLORS.len(), 0..MODIFIERS.len());
    (0..size.height, 0..size.width, 1..size.width, ink).prop_map(|(y, x, n, (s, f, b, m))| (y, x, n, s, f, b, m))
}

/// What happens between two frames.
#[derive(Clone, Debug)]
enum Step {
    Runs(Vec<Run>),
    /// Lines move, as in a list that scrolls.
    Move {
        from: u16,
        lines: u16,
        by: i32,
    },
    /// A part of some lines moves aside, as in a chart.
    Slide {
        y: u16,
        from: u16,
        columns: u16,
        by: i32,
    },
    Forget,
    Nothing,
}

fn step(size: Size) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(run(size), 1..20).prop_map(Step::Runs),
        3 => (0..size.height, 4..size.height, -5..6).prop_map(|(from, lines, by)| Step::Move { from, lines, by }),
        3 => (0..size.height, 0..size.width, 4..size.width, -3..4)
            .prop_map(|(y, from, columns, by)| Step::Slide { y, from, columns, by }),
        1 => Just(Step::Forget),
        1 => Just(Step::Nothing),
    ]
}

fn draw(buffer: &mut Buffer, runs: &[Run]) {
    let (width, height) = (buffer.area.width, buffer.area.height);
    for &(y, x, n, symbol, fg, bg, modifier) in runs {
        let style = Style::new().fg(COLORS[fg]).bg(COLORS[bg]).add_modifier(MODIFIERS[modifier]);
        for x in (x..(x + n).min(width)).filter(|_| y < height) {
            let cell = &mut buffer[(x, y)];
            cell.reset();
            cell.set_symbol(SYMBOLS[symbol]).set_style(style);
        }
    }
}

fn shift(buffer: &mut Buffer, from: u16, lines: u16, by: i32) {
    let before = buffer.clone();
    for y in from..(from + lines).min(buffer.area.height) {
        let source = i32::from(y) + by;
        if (0..i32::from(buffer.area.height)).contains(&source) {
            for x in 0..buffer.area.width {
                buffer[(x, y)] = before[(x, source as u16)].clone();
            }
        }
    }
}

fn slide(buffer: &mut Buffer, y: u16, from: u16, columns: u16, by: i32) {
    let before = buffer.clone();
    for y in y..(y + 3).min(buffer.area.height) {
        for x in from..(from + columns).min(buffer.area.width) {
            let source = i32::from(x) + by;
            if (0..i32::from(buffer.area.width)).contains(&source) {
                buffer[(x, y)] = before[(source as u16, y)].clone();
            }
        }
    }
}

fn vt_color(color: Color) -> vt100::Color {
    match color {
        Color::Red => vt100::Color::Idx(1),
        Color::LightBlue => vt100::Color::Idx(12),
        Color::Indexed(n) => vt100::Color::Idx(n),
        Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
        _ => vt100::Color::Default,
    }
}

/// Holds the terminal against a frame, cell by cell.
fn compare(terminal: &vt100::Parser, frame: &Buffer) -> Result<(), TestCaseError> {
    for y in 0..frame.area.height {
        for x in 0..frame.area.width {
            let (cell, seen) = (&frame[(x, y)], terminal.screen().cell(y, x).unwrap());
            let place = format!("at {x},{y}");
            prop_assert_eq!(seen.is_wide_continuation(), cells::is_tail(cell), "{}", place);
            if cells::is_tail(cell) {
                continue;
            }
            let text = if seen.contents().is_empty() { " " } else { seen.contents() };
            prop_assert_eq!(text, cell.symbol(), "{}", place);
            prop_assert_eq!(seen.bgcolor(), vt_color(cell.bg), "{}", place);
            let has = |m: Modifier| cell.modifier.contains(m);
            prop_assert_eq!(seen.inverse(), has(Modifier::REVERSED), "{}", place);
            prop_assert_eq!(seen.underline(), has(Modifier::UNDERLINED), "{}", place);
            if !cells::is_blank(cell) {
                prop_assert_eq!(seen.fgcolor(), vt_color(cell.fg), "{}", place);
                prop_assert_eq!(seen.bold(), has(Modifier::BOLD), "{}", place);
                prop_assert_eq!(seen.dim(), has(Modifier::DIM), "{}", place);
                prop_assert_eq!(seen.italic(), has(Modifier::ITALIC), "{}", place);
            }
        }
    }
    Ok(())
}

const SIZE: Size = Size { width: 30, height: 12 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_terminal_shows_every_frame(steps in prop::collection::vec(step(SIZE), 1..12)) {
        let mut painter = Painter::new(SIZE);
        let mut terminal = vt100::Parser::new(SIZE.height, SIZE.width, 0);
        let mut wanted = painter.frame().clone();
        for step in steps {
            match step {
                Step::Runs(runs) => draw(&mut wanted, &runs),
                Step::Move { from, lines, by } => shift(&mut wanted, from, lines, by),
                Step::Slide { y, from, columns, by } => slide(&mut wanted, y, from, columns, by),
                Step::Forget => painter.forget(),
                Step::Nothing => {}
            }
            painter.frame().clone_from(&wanted);
            terminal.process(&painter.paint(None));
            cells::settle(&mut wanted);
            compare(&terminal, &wanted)?;
        }
    }
}

fn painted(painter: &mut Painter, lines: &[&str]) -> String {
    let buffer = painter.frame();
    for (y, line) in lines.iter().enumerate() {
        buffer.set_string(0, y as u16, line, Style::new());
    }
    String::from_utf8(painter.paint(None)).unwrap()
}

#[test]
fn what_is_shown_already_is_not_sent() {
    let mut painter = Painter::new(SIZE);
    painted(&mut painter, &["one", "two"]);
    assert_eq!(painted(&mut painter, &["one", "two"]), "");
}

#[test]
fn a_clock_costs_two_bytes_a_second() {
    let mut painter = Painter::new(SIZE);
    painted(&mut painter, &["live      14:03:27"]);
    painted(&mut painter, &["live      14:03:28"]);
    assert_eq!(painted(&mut painter, &["live      14:03:29"]), "\x089");
}

#[test]
fn a_list_that_moves_is_moved_by_the_terminal() {
    let rows: Vec<String> = (0..30).map(|n| format!("row {:05}", n * 7919 % 30011)).collect();
    let page = |from: usize| -> Vec<&str> {
        let head = std::iter::once("head");
        head.chain(rows[from..from + 10].iter().map(String::as_str)).chain(std::iter::once("foot")).collect()
    };
    let mut painter = Painter::new(SIZE);
    let whole = painted(&mut painter, &page(0)).len();
    let down = painted(&mut painter, &page(1));
    assert!(down.len() < 40 && down.contains("\x1b[M"), "{down:?}");
    let up = painted(&mut painter, &page(0));
    assert!(up.len() < 40 && up.contains("\x1b[L"), "{up:?}");
    assert!(painted(&mut painter, &page(15)).len() <= whole + 20);
}

#[test]
fn a_chart_that_moves_is_moved_by_the_terminal() {
    let dots: Vec<char> = (0..60u32).filter_map(|n| char::from_u32(0x2801 + n * 37 % 255)).collect();
    let line = |from: usize| -> String {
        let part = |from: usize| dots[from..from + 11].iter().collect::<String>();
        format!("50 {} 20 {}x", part(from), part(from + 30))
    };
    let mut painter = Painter::new(SIZE);
    painted(&mut painter, &[&line(0), "other"]);
    let later = painted(&mut painter, &[&line(1), "other"]);
    assert!(later.len() < 50 && later.matches("\x1b[P").count() == 2, "{later:?}");
    let back = painted(&mut painter, &[&line(0), "other"]);
    assert!(back.len() < 50 && back.matches("\x1b[@").count() == 2, "{back:?}");
}

#[test]
fn one_colour_after_the_other_where_that_is_shorter() {
    let mut painter = Painter::new(SIZE);
    let (muted, text) = (Style::new().fg(Color::Rgb(139, 148, 158)), Style::new().fg(Color::Rgb(200, 204, 212)));
    let buffer = painter.frame();
    for y in 0..8 {
        buffer.set_string(0, y, "muted", muted);
        buffer.set_string(6, y, "text", text);
    }
    let bytes = String::from_utf8(painter.paint(None)).unwrap();
    assert_eq!(bytes.matches("38;2").count(), 2, "{bytes:?}");
}

#[test]
fn the_cursor_is_shown_while_a_field_is_open() {
    let mut painter = Painter::new(SIZE);
    painted(&mut painter, &["field"]);
    painter.frame().set_string(0, 0, "field x", Style::new());
    let open = String::from_utf8(painter.paint(Some((7, 0)))).unwrap();
    assert!(open.ends_with("\x1b[?25h"), "{open:?}");
    painter.frame().set_string(0, 0, "field x", Style::new());
    assert_eq!(painter.paint(Some((7, 0))), b"");
    assert!(painted(&mut painter, &["field"]).ends_with("\x1b[?25l"));
}
