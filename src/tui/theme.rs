//! Roles and what they look like. Views know roles only.

use ratatui::style::{Color, Modifier, Style};

use crate::state::State;

/// What a piece of text means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Text,
    Muted,
    Faint,
    Accent,
    /// A heading of columns or a pane.
    Heading,
    Ok,
    Running,
    Waiting,
    Retry,
    Fail,
    Warn,
    Border,
    Series1,
    Series2,
    Series3,
    /// Name of a profile marked as dangerous.
    Danger,
}

/// Which set of colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Theme {
    #[default]
    Dark,
    Light,
    /// No colours: weight, inversion and glyphs carry everything.
    None,
}

impl Theme {
    /// The style of a role.
    pub fn style(self, role: Role) -> Style {
        let plain = Style::new();
        let bold = |style: Style| style.add_modifier(Modifier::BOLD);
        if self == Theme::None {
            return match role {
                Role::Fail | Role::Warn | Role::Accent | Role::Danger => bold(plain),
                Role::Faint | Role::Border => plain.add_modifier(Modifier::DIM),
                _ => plain,
            };
        }
        let fg = plain.fg(self.color(role));
        match role {
            Role::Fail | Role::Danger => bold(fg),
            _ => fg,
        }
    }

    fn color(self, role: Role) -> Color {
        let dark = self == Theme::Dark;
        let pick = |d: (u8, u8, u8), l: (u8, u8, u8)| {
            let (r, g, b) = if dark { d } else { l };
            Color::Rgb(r, g, b)
        };
        match role {
            Role::Text => pick((0xc8, 0xcc, 0xd4), (0x24, 0x29, 0x2f)),
            Role::Muted | Role::Waiting => pick((0x8b, 0x94, 0x9e), (0x57, 0x60, 0x6a)),
            Role::Faint => pick((0x5c, 0x64, 0x70), (0x76, 0x7c, 0x85)),
            Role::Accent | Role::Running => pick((0x7a, 0xa2, 0xf7), (0x1f, 0x5f, 0xbf)),
            Role::Heading => pick((0x8b, 0x94, 0x9e), (0x57, 0x60, 0x6a)),
            Role::Ok => pick((0x8f, 0xb5, 0x73), (0x3a, 0x6b, 0x1f)),
            Role::Retry | Role::Warn => pick((0xe0, 0xb4, 0x61), (0x8a, 0x5a, 0x00)),
            Role::Fail | Role::Danger => pick((0xe0, 0x6c, 0x75), (0xb3, 0x1d, 0x28)),
            Role::Border => pick((0x3a, 0x3f, 0x4b), (0xc4, 0xc9, 0xd0)),
            Role::Series1 => pick((0x7a, 0xa2, 0xf7), (0x1f, 0x5f, 0xbf)),
            Role::Series2 => pick((0xe0, 0x6c, 0x75), (0xb3, 0x1d, 0x28)),
            Role::Series3 => pick((0xe0, 0xb4, 0x61), (0x8a, 0x5a, 0x00)),
        }
    }

    /// What is laid over the row under the cursor.
    pub fn selection(self) -> Style {
        match self {
            Theme::Dark => Style::new().bg(Color::Rgb(0x26, 0x2b, 0x36)),
            Theme::Light => Style::new().bg(Color::Rgb(0xe6, 0xec, 0xf5)),
            Theme::None => Style::new().add_modifier(Modifier::REVERSED),
        }
    }

    /// Dark or light, from a background's brightness (0 to 1).
    pub fn for_background(brightness: f32) -> Self {
        if brightness > 0.5 { Theme::Light } else { Theme::Dark }
    }

    /// Dark or light, from what some terminals put into the environment: `15;0` is white on black.
    pub fn from_colorfgbg(value: &str) -> Option<Self> {
        let background: u8 = value.rsplit(';').next()?.parse().ok()?;
        Some(if matches!(background, 7 | 9..=15) { Theme::Light } else { Theme::Dark })
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

/// What our own signs become where only ASCII is shown.
const ASCII: [(&str, &str); 44] = [
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
    use super::*;

    #[test]
    fn light_colours_stand_out_from_white_and_dark_ones_from_black() {
        fn luminance(color: Color) -> f32 {
            let Color::Rgb(r, g, b) = color else { return 0.0 };
            let channel = |c: u8| {
                let c = f32::from(c) / 255.0;
                if c <= 0.03928 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b)
        }
        for role in [Role::Text, Role::Muted, Role::Accent, Role::Ok, Role::Retry, Role::Fail, Role::Warn] {
            let on_white = 1.05 / (luminance(Theme::Light.color(role)) + 0.05);
            assert!(on_white >= 4.5, "{role:?} on white: {on_white}");
            let on_black = (luminance(Theme::Dark.color(role)) + 0.05) / 0.05;
            assert!(on_black >= 4.5, "{role:?} on black: {on_black}");
        }
    }

    #[test]
    fn the_environment_may_tell_the_background() {
        assert_eq!(Theme::from_colorfgbg("15;0"), Some(Theme::Dark));
        assert_eq!(Theme::from_colorfgbg("0;default;15"), Some(Theme::Light));
        assert_eq!(Theme::from_colorfgbg("x"), None);
    }
}
