//! Writing what a list shows to a file: the question for the file's name, and the order that comes of the answer.

use crate::export::{Export, What};
use crate::human;
use crate::tui::layers::Prompt;
use crate::tui::view::{Answer, Cx, Effect, Outcome};

/// What is to be written once its file has a name.
#[derive(Default)]
pub struct Exporting(Option<What>);

impl Exporting {
    /// Asks for the file's name. `kind` is what the rows are, in one word.
    pub fn ask(&mut self, kind: &str, what: What, cx: &Cx<'_>) -> Outcome {
        self.0 = Some(what);
        let name = format!("{kind}-{}.csv", human::in_a_name(cx.now, cx.shown_zone()));
        let help = ".csv, or .jsonl for JSON lines; a file that exists is left alone";
        Outcome::Effect(Effect::Open(Box::new(Prompt::framed(&format!("write {kind} to"), &name, help, named))))
    }

    /// Takes the answer; `None` if nothing was asked.
    pub fn answer(&mut self, answer: &Answer) -> Option<Outcome> {
        let what = self.0.take()?;
        Some(match answer {
            Answer::Text { text, done: true } => {
                Outcome::Effect(Effect::Export(Export { what, path: text.trim().to_owned() }))
            }
            _ => Outcome::Done,
        })
    }
}

fn named(text: &str) -> Result<(), String> {
    match text.trim() {
        "" => Err("a file needs a name".into()),
        name if name.ends_with('/') => Err("that is a folder".into()),
        _ => Ok(()),
    }
}
