//! A line one can type into.

use tui_input::{Input, InputRequest};

use crate::text::{Clean, clean, cut_end};
use crate::tui::Key;
use crate::tui::page::Page;
use crate::tui::theme::Role;

/// See the module.
#[derive(Default)]
pub struct Field {
    input: Input,
}

impl Field {
    pub fn new(text: &str) -> Self {
        Self { input: Input::new(text.to_owned()) }
    }

    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// Whether the cursor stands behind the last character.
    pub fn is_at_end(&self) -> bool {
        self.input.cursor() == self.input.value().chars().count()
    }

    /// Takes an editing key; false if it is none.
    pub fn type_key(&mut self, key: &Key) -> bool {
        let request = match key.name() {
            "Backspace" | "ctrl-h" => InputRequest::DeletePrevChar,
            "Delete" => InputRequest::DeleteNextChar,
            "Left" => InputRequest::GoToPrevChar,
            "Right" => InputRequest::GoToNextChar,
            "Home" | "ctrl-a" => InputRequest::GoToStart,
            "End" | "ctrl-e" => InputRequest::GoToEnd,
            "ctrl-w" => InputRequest::DeletePrevWord,
            "ctrl-u" => InputRequest::DeleteLine,
            "ctrl-k" => InputRequest::DeleteTillEnd,
            _ => match key.character() {
                Some(c) => InputRequest::InsertChar(c),
                None => return false,
            },
        };
        self.input.handle(request);
        true
    }

    /// Inserts pasted text, as one line.
    pub fn paste(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()) {
            self.input.handle(InputRequest::InsertChar(c));
        }
    }

    /// Paints the end that holds the cursor.
    pub fn draw(&self, page: &mut Page<'_>, x: u16, y: u16, width: u16) {
        let scroll = self.input.visual_scroll(usize::from(width.saturating_sub(1)));
        let shown: String = skip_width(self.input.value(), scroll);
        let text: Clean = clean(&cut_end(&shown, usize::from(width)));
        page.put(x, y, width, &text, Role::Text);
        let column = self.input.visual_cursor().saturating_sub(scroll) as u16;
        page.cursor = Some((x + column.min(width.saturating_sub(1)), y));
    }
}

fn skip_width(text: &str, width: usize) -> String {
    use unicode_width::UnicodeWidthChar;
    let mut left = width;
    text.chars()
        .skip_while(|c| {
            let w = c.width().unwrap_or(0);
            let skip = left >= w.max(1);
            left = left.saturating_sub(w);
            skip
        })
        .collect()
}
