//! Forms before tasks are sent again: what their arguments were, where nobody knows them whole; and how fast many of them
//! go.

use std::collections::BTreeMap;

use ratatui::layout::Rect;

use crate::celery::TaskId;
use crate::human::{plural, thousands};
use crate::ops::bulk::{CANARY, RATE};
use crate::ops::retry::{Options, Refusal, Retry, read_typed};
use crate::ops::{Bulk, Command};
use crate::state::Model;
use crate::tui::Key;
use crate::tui::action::{Action, Scope};
use crate::tui::page::{Page, Target};
use crate::tui::view::{Answer, Cx, Effect, Outcome, View};
use crate::tui::views::tasks::act;

use super::Form;
use super::form::Entry;

/// Reasons that are named before "and n more".
const REASONS: usize = 3;

/// What is sent when the form is filled in.
enum Kind {
    /// One task, once its arguments are said.
    One(TaskId),
    Many {
        tasks: Vec<Retry>,
        refused: Vec<String>,
    },
}

/// See the module.
pub struct Again {
    form: Form,
    kind: Kind,
}

impl Again {
    /// Asks for what a task was sent with. What is known stands there already, without secrets; `why` is what keeps it from
    /// being sent as it is, if something does.
    pub fn one(id: TaskId, why: Option<&Refusal>, model: &Model) -> Self {
        let task = model.task(&id);
        let text = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned).unwrap_or_default();
        let (args, kwargs) = (text(task.as_ref().and_then(|t| t.args())), text(task.as_ref().and_then(|t| t.kwargs())));
        let queue = task.as_ref().and_then(|t| t.queue()).unwrap_or_default().to_owned();
        let name = task.as_ref().and_then(|t| t.name()).unwrap_or_default();
        let title = match why {
            Some(why) => format!("{name}: {why}"),
            None => format!("send {name} {} again", id.short()),
        };
        let entries = vec![
            Entry::new(
                "args",
                &args,
                "JSON or Python literals, such as (1, 'a'); what is shown as *** is not known",
                check_args,
            ),
            Entry::new("kwargs", &kwargs, "JSON or Python literals, such as {'a': 1}", check_kwargs),
            Entry::new("queue", &queue, "where it goes; empty is where it came from", anything)
                .with(model.queue_names()),
            Entry::new("countdown", "", "such as 30s or 5m; empty is at once", check_countdown),
            Entry::new("same id", "no", "yes sends it under the id it had", check_yes)
                .with(vec!["yes".into(), "no".into()]),
        ];
        Self { form: Form::new(&title, entries, |_| Ok(())), kind: Kind::One(id) }
    }

    /// Asks how fast many are to go, and how many go first.
    pub fn many(tasks: Vec<Retry>, refused: Vec<String>) -> Self {
        let title = format!("send {} tasks again", thousands(tasks.len() as u64));
        let intro = summary(tasks.len(), &refused);
        let entries = vec![
            Entry::new(
                "canary",
                &CANARY.to_string(),
                "so many go first; what becomes of them is waited for, and then you are asked; 0 is none",
                check_count,
            ),
            Entry::new(
                "a second",
                &RATE.to_string(),
                "so many go in a second; it brakes when over a tenth fail again",
                check_rate,
            ),
        ];
        let form = Form::new(&title, entries, |_| Ok(())).telling(&intro);
        Self { form, kind: Kind::Many { tasks, refused } }
    }

    fn filled(&mut self, fields: &[String], cx: &Cx<'_>) -> Outcome {
        let field = |i: usize| fields.get(i).map(String::as_str).unwrap_or_default();
        let effect = match &mut self.kind {
            Kind::Many { tasks, refused } => {
                let (canary, rate) = (field(0).parse().unwrap_or(CANARY), field(1).parse().unwrap_or(RATE));
                let (tasks, refused) = (std::mem::take(tasks), std::mem::take(refused));
                Effect::Ask(Command::Bulk(Bulk::New { tasks, refused, rate, canary, filter: None }))
            }
            Kind::One(id) => {
                let said = |i: usize| Some(field(i).to_owned()).filter(|text| !text.is_empty());
                let wait = crate::human::parse_seconds(field(3)).filter(|_| !field(3).is_empty());
                let eta = wait.map(|secs| (cx.now + std::time::Duration::from_secs_f64(secs)).iso());
                // What was left as it is known is taken from where it is known best.
                let known = cx.model.task(id);
                let same = |text: Option<std::borrow::Cow<'_, str>>, i: usize| text.as_deref() == Some(field(i));
                let untouched = known.as_ref().is_some_and(|t| same(t.args(), 0) && same(t.kwargs(), 1));
                let options = Options {
                    queue: said(2).filter(|queue| known.as_ref().and_then(|t| t.queue()) != Some(queue)),
                    eta,
                    same_id: field(4) == "yes",
                    args: said(0).filter(|_| !untouched),
                    kwargs: said(1).filter(|_| !untouched),
                };
                Effect::Retry { ids: vec![id.clone()], refused: Vec::new(), options }
            }
        };
        Outcome::Effect(Effect::CloseThen(Box::new(effect)))
    }
}

/// How many were chosen, how many of them can be sent again, and for which reasons the others can't; each of `refused` is an
/// id and its reason.
fn summary(can: usize, refused: &[String]) -> Vec<String> {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for line in refused {
        let (_, why) = line.split_once("  ").unwrap_or(("", line));
        *reasons.entry(why).or_default() += 1;
    }
    let by_themselves = reasons.remove(act::RUNS_AGAIN).unwrap_or(0);
    let cant: u64 = reasons.values().sum();
    let all = can as u64 + cant + by_themselves;
    let mut first = format!("{} chosen · {} can be retried exactly", thousands(all), thousands(can as u64));
    if cant > 0 {
        first += &format!(" · {} can't", thousands(cant));
    }
    if by_themselves > 0 {
        first += &format!(" · {} in RETRY will run by themselves and are left out", thousands(by_themselves));
    }
    let mut reasons: Vec<(&str, u64)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let more = reasons.len().saturating_sub(REASONS);
    let named = reasons.iter().take(REASONS).map(|(why, n)| format!("{} can't: {why}", thousands(*n)));
    let more = (more > 0).then(|| format!("and for {} more", plural(more, "reason")));
    std::iter::once(first).chain(named).chain(more).collect()
}

fn check_args(text: &str) -> Result<(), String> {
    read_typed(text, "args").map(|_| ()).map_err(|why| why.to_string())
}

fn check_kwargs(text: &str) -> Result<(), String> {
    read_typed(text, "kwargs").map(|_| ()).map_err(|why| why.to_string())
}

fn anything(_: &str) -> Result<(), String> {
    Ok(())
}

fn check_countdown(text: &str) -> Result<(), String> {
    match text.trim() {
        "" => Ok(()),
        text => crate::human::parse_seconds(text).map(|_| ()).ok_or_else(|| "a time such as 30s or 5m".into()),
    }
}

fn check_yes(text: &str) -> Result<(), String> {
    if matches!(text.trim(), "yes" | "no") { Ok(()) } else { Err("yes or no".into()) }
}

fn check_count(text: &str) -> Result<(), String> {
    text.trim().parse::<usize>().map(|_| ()).map_err(|_| "a number".into())
}

fn check_rate(text: &str) -> Result<(), String> {
    match text.trim().parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.1 => Ok(()),
        _ => Err("a number from 0.1 on".into()),
    }
}

impl View for Again {
    fn scopes(&self) -> &'static [Scope] {
        self.form.scopes()
    }

    fn perform(&mut self, action: Action, cx: &mut Cx<'_>) -> Outcome {
        match self.form.perform(action, cx) {
            Outcome::Effect(Effect::Answer(Answer::Fields(fields))) => self.filled(&fields, cx),
            Outcome::Effect(Effect::Answer(_)) => Outcome::Effect(Effect::Close),
            other => other,
        }
    }

    fn type_key(&mut self, key: &Key) -> Outcome {
        self.form.type_key(key)
    }

    fn edited(&mut self, text: &str) {
        self.form.edited(text);
    }

    fn paste(&mut self, text: &str) -> Outcome {
        self.form.paste(text)
    }

    fn click(&mut self, target: Target, cx: &mut Cx<'_>) -> Outcome {
        self.form.click(target, cx)
    }

    fn sync(&mut self, cx: &Cx<'_>) {
        self.form.sync(cx);
    }

    fn draw(&self, page: &mut Page<'_>, area: Rect) {
        self.form.draw(page, area);
    }

    fn is_overlay(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_chose_many_is_told_how_many_go_and_why_the_others_do_not() {
        let refused = ["a  it runs at the moment", "b  x", "c  x", &format!("d  {}", act::RUNS_AGAIN)];
        let told = summary(1_200, &refused.map(str::to_owned));
        assert_eq!(
            told,
            [
                "1,204 chosen · 1,200 can be retried exactly · 3 can't · 1 in RETRY will run by themselves and are left out",
                "2 can't: x",
                "1 can't: it runs at the moment"
            ]
        );
        assert_eq!(summary(30, &[]), ["30 chosen · 30 can be retried exactly"]);
    }
}
