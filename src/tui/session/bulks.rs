//! Bulk actions that have not ended: read and changed beside the screen.

use std::io::Write;

use super::Session;
use crate::ops::{Error, Ops};
use crate::tui::app::Bulked;
use crate::tui::view::BulkWish;

/// Tasks of one that are shown.
const SHOWN: usize = 1_000;

impl<W: Write> Session<W> {
    pub(super) fn bulk(&self, wish: BulkWish) {
        let (ops, sender) = (self.wiring.ops.clone(), self.bulks.0.clone());
        tokio::spawn(async move {
            let bulked = see_to(&ops, wish).await;
            // The session may have ended meanwhile.
            let _ = sender.send(bulked).await;
        });
    }
}

async fn see_to(ops: &Ops, wish: BulkWish) -> Result<Bulked, Error> {
    match wish {
        BulkWish::List => ops.open_bulks().map(Bulked::Open),
        BulkWish::Resume(id) => ops.to_resume(id).await.map(Bulked::Ask),
        BulkWish::Stop(id) => ops.stop_bulk(id).map(|()| Bulked::Stopped(id)),
        BulkWish::Show(id) => ops.bulk_items(id, SHOWN).map(|items| Bulked::Items(id, items)),
    }
}
