//! Titles of panes that share a place: the chosen one stands out by its weight too, not by colour alone.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::text::Clean;
use crate::tui::page::{Page, Target};
use crate::tui::theme::Role;

/// Paints the titles from the left; where not all fit, those around the chosen one. Returns the columns they took.
pub fn draw(page: &mut Page<'_>, area: Rect, titles: &[&'static str], chosen: usize) -> u16 {
    let all: u16 = titles.iter().map(|title| title.len() as u16).sum();
    let gap = if all + 2 * titles.len() as u16 <= area.width { 2 } else { 1 };
    let mut first = 0;
    let wide = |title: &&str| title.len() as u16 + gap;
    while first < chosen && titles.iter().take(chosen + 1).skip(first).map(wide).sum::<u16>() > area.width {
        first += 1;
    }
    let (mut x, end) = (area.x, area.x + area.width);
    for (i, title) in titles.iter().enumerate().skip(first) {
        let width = title.len() as u16;
        if x + width > end {
            break;
        }
        let place = Rect { x, y: area.y, width, height: 1 };
        page.put(x, area.y, width, Clean::own(title), if i == chosen { Role::Accent } else { Role::Muted });
        if i == chosen {
            page.buffer.set_style(place, Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED));
        }
        page.put(x + width, area.y, gap.min(end - x - width), Clean::repeated(' ', usize::from(gap)), Role::Text);
        page.clickable(place, Target::Pane(i));
        x += width + gap;
    }
    x.min(end) - area.x
}
