//! The screen. A view copies what it shows out of the model (`sync`), then paints the copy (`draw`); keys become
//! [`action::Action`]s, and what they do to the cluster leaves as [`view::Effect`]s that [`app::App`] carries out.

pub mod action;
pub mod app;
mod editor;
mod header;
mod hints;
mod keymap;
pub mod keys;
mod layers;
pub mod options;
pub mod pace;
mod page;
pub mod paint;
pub mod session;
mod tabs;
pub mod term;
pub mod theme;
pub mod view;
mod views;
mod widgets;

pub use keymap::Key;
