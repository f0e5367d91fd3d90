//! Roles and what they look like. Views know roles only.

mod file;

use ratatui::style::Style;

use crate::state::{State, Task};

pub use file::Error;

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident $name:literal)*) => {
        /// What a piece of text means.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Role { $($(#[$doc])* $role),* }

        impl Role {
            /// Every role, in the order of the variants.
            pub const ALL: &[Role] = &[$(Role::$role),*];

            /// The name it has in a theme's file.
            pub fn name(self) -> &'static str {
                match self { $(Role::$role => $name),* }
            }
        }

        /// How many roles there are.
        const ROLES: usize = [$(Role::$role),*].len();
    };
}

roles! {
    Text "text"
    Muted "muted"
    Faint "faint"
    Accent "accent"
    /// A heading of columns or a pane.
    Heading "heading"
    Ok "ok"
    Running "running"
    Waiting "waiting"
    Retry "retry"
    Fail "fail"
    /// A task that went away with its worker.
    Lost "lost"
    Warn "warn"
    Border "border"
    Series1 "series1"
    Series2 "series2"
    Series3 "series3"
    Series4 "series4"
    Series5 "series5"
    Series6 "series6"
    /// Name of a profile marked as dangerous.
    Danger "danger"
}

impl Role {
    /// The role a theme's file calls so.
    pub fn named(name: &str) -> Option<Self> {
        Role::ALL.iter().copied().find(|role| role.name() == name)
    }
}

/// How each role looks. The default is the terminal's own, everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Theme {
    styles: [Style; ROLES],
    /// Behind everything; most themes leave the terminal's own.
    background: Style,
    selection: Style,
}

impl Theme {
    /// For dark backgrounds.
    pub fn dark() -> Self {
        Self::named("dark").unwrap_or_default()
    }

    /// For light backgrounds.
    pub fn light() -> Self {
        Self::named("light").unwrap_or_default()
    }

    /// Without colours.
    pub fn none() -> Self {
        Self::named("none").unwrap_or_default()
    }

    /// One of those that come with the program.
    pub fn named(name: &str) -> Option<Self> {
        // A test sees to it that each of them can be read.
        file::BUILT_IN.iter().find(|(n, _)| *n == name).and_then(|(_, text)| file::parse(text, name).ok())
    }

    /// Reads a theme's file; `name` is said of mistakes.
    pub fn parse(text: &str, name: &str) -> Result<Self, Error> {
        file::parse(text, name)
    }

    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
    }

    fn set(&mut self, role: Role, style: Style) {
        if let Some(place) = self.styles.get_mut(role as usize) {
            *place = style;
        }
    }

    /// What lies behind everything.
    pub fn background(&self) -> Style {
        self.style(Role::Text).patch(self.background)
    }

    /// What is laid over the row under the cursor.
    pub fn selection(&self) -> Style {
        self.selection
    }

    /// Dark or light, from a background's brightness (0 to 1).
    pub fn for_background(brightness: f32) -> Self {
        if brightness > 0.5 { Theme::light() } else { Theme::dark() }
    }

    /// Dark or light, from what some terminals put into the environment: `15;0` is white on black.
    pub fn from_colorfgbg(value: &str) -> Option<Self> {
        let background: u8 = value.rsplit(';').next()?.parse().ok()?;
        Some(if matches!(background, 7 | 9..=15) { Theme::light() } else { Theme::dark() })
    }
}

/// The sign of a state: it is never told by colour alone.
pub fn glyph(state: State) -> &'static str {
    match state {
        State::Pending => "○",
        State::Received => "◔",
        State::Started => "●",
        State::Success => "✔",
        State::Failure => "✖",
        State::Retry => "↻",
        State::Revoked => "⊘",
        State::Rejected => "⊗",
        State::Custom => "◆",
    }
}

/// The role of a state. Success is the quietest, failure the loudest.
pub fn role(state: State) -> Role {
    match state {
        State::Pending | State::Received => Role::Waiting,
        State::Started => Role::Running,
        State::Success => Role::Muted,
        State::Failure => Role::Fail,
        State::Retry => Role::Retry,
        State::Revoked | State::Rejected => Role::Faint,
        State::Custom => Role::Accent,
    }
}

/// The sign and the role of a task's state, or that it is lost.
pub fn sign(task: &Task<'_>) -> (&'static str, Role) {
    if task.lost().is_some() { ("?", Role::Lost) } else { (glyph(task.state()), role(task.state())) }
}

/// What our own signs become where only ASCII is shown.
const ASCII: [(&str, &str); 46] = [
    ("■", "#"),
    ("○", "o"),
    ("◔", "("),
    ("●", "*"),
    ("✔", "+"),
    ("✖", "X"),
    ("↻", "r"),
    ("⊘", "-"),
    ("⊗", "%"),
    ("◆", "#"),
    ("▌", ">"),
    ("─", "-"),
    ("│", "|"),
    ("┄", "."),
    ("━", "="),
    ("…", "~"),
    ("·", "."),
    ("▲", "^"),
    ("▼", "v"),
    ("⏎", "$"),
    ("↑", "^"),
    ("↓", "v"),
    ("←", "<"),
    ("→", ">"),
    ("▸", ">"),
    ("▾", "v"),
    ("•", "*"),
    ("┌", "+"),
    ("┐", "+"),
    ("└", "+"),
    ("┘", "+"),
    ("├", "+"),
    ("┤", "+"),
    ("▁", "."),
    ("▂", "."),
    ("▃", ":"),
    ("▄", ":"),
    ("▅", "="),
    ("▆", "="),
    ("▇", "#"),
    ("█", "#"),
    ("⏱", "~"),
    ("≥", ">"),
    ("×", "x"),
    ("Δ", "d"),
    ("◌", "o"),
];

/// One sign in ASCII.
pub fn ascii(symbol: &str) -> &'static str {
    if let Some((_, plain)) = ASCII.iter().find(|(sign, _)| *sign == symbol) {
        return plain;
    }
    match symbol.chars().next() {
        // Braille dots of a chart: how many tells how dark.
        Some(c @ '\u{2800}'..='\u{28ff}') => match (c as u32 - 0x2800).count_ones() {
            0 => " ",
            1..=2 => ".",
            3..=5 => ":",
            _ => "#",
        },
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use ratatui::style::Color;

    use super::*;

    /// How much two colours differ, as the web's accessibility rules count it.
    fn contrast(a: Color, b: Color) -> f32 {
        fn luminance(color: Color) -> f32 {
            let Color::Rgb(r, g, b) = color else { return 0.0 };
            let channel = |c: u8| {
                let c = f32::from(c) / 255.0;
                if c <= 0.03928 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b)
        }
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn whatever_is_read_stands_out_from_its_background_and_from_the_selection() {
        let (black, white) = (Color::Rgb(0, 0, 0), Color::Rgb(255, 255, 255));
        for (name, background, least, selected) in [
            ("dark", black, 4.5, 3.0),
            ("light", white, 4.5, 3.9),
            ("high-contrast", black, 7.0, 4.5),
            ("colour-blind", black, 4.5, 3.0),
            ("colour-blind-light", white, 4.5, 3.9),
        ] {
            let theme = Theme::named(name).unwrap();
            for role in Role::ALL.iter().filter(|role| **role != Role::Border) {
                let color = theme.style(*role).fg.unwrap();
                let on = contrast(color, background);
                assert!(on >= least, "{name}, {role:?}: {on}");
                let on = contrast(color, theme.selection().bg.unwrap());
                assert!(on >= selected, "{name}, {role:?} in the selected row: {on}");
            }
        }
    }

    #[test]
    fn the_environment_may_tell_the_background() {
        assert_eq!(Theme::from_colorfgbg("15;0"), Some(Theme::dark()));
        assert_eq!(Theme::from_colorfgbg("0;default;15"), Some(Theme::light()));
        assert_eq!(Theme::from_colorfgbg("x"), None);
    }
}
