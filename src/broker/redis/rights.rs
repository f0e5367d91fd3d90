//! What this user may not do here, learnt from what was refused: asking for the permissions is itself something that a
//! careful administrator does not permit.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::broker::{Error, Lack, Result, Right};

/// See the module.
#[derive(Default)]
pub(super) struct Rights {
    lacks: Mutex<BTreeMap<Right, Lack>>,
}

impl Rights {
    /// Takes note of what came of a try: it may be refused now, or not be refused any more.
    pub fn note<T>(&self, right: Right, result: &Result<T>) {
        match result {
            Ok(_) => {
                self.lacks.lock().remove(&right);
            }
            Err(Error::Denied { what, why, .. }) => {
                let lack = Lack { right, what: what.clone(), why: why.clone() };
                self.lacks.lock().insert(right, lack);
            }
            Err(_) => {}
        }
    }

    /// Takes note, and makes nothing of what was refused for want of permission.
    pub fn permitted<T>(&self, right: Right, result: Result<T>) -> Result<Option<T>> {
        self.note(right, &result);
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Denied { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// All that is lacking.
    pub fn lacks(&self) -> Vec<Lack> {
        self.lacks.lock().values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_lacking_until_it_is_given() {
        let rights = Rights::default();
        let denied = || Error::Denied { url: "u".into(), what: "PUBLISH".into(), why: "no".into() };
        assert_eq!(rights.permitted::<()>(Right::Control, Err(denied())).expect("noted"), None);
        let away = Error::Unreachable { url: "u".into(), why: "away".into() };
        rights.note::<()>(Right::Control, &Err(away));
        assert_eq!(rights.lacks().len(), 1, "a broken link says nothing of rights");
        rights.note(Right::Control, &Ok(()));
        assert_eq!(rights.lacks(), []);
    }
}
