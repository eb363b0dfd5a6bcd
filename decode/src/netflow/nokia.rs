//! Nokia SR flow log. Format 1 has the outside address where others have the inside one, and no outside port; format 2
//! has both in the elements made for them. The inside address stands behind the last `@` of a text in both.

use event::{Action, Event, Kind, Text};

use super::mapping::{port, protocol, v4, v6};
use super::plan::{Plan, Row};
use super::slot::Slot;
use super::text;
use crate::{DecodeError, address};

/// The event, without time and VRF.
pub(super) fn event<'a>(plan: &Plan, row: &'a impl Row, action: Action) -> Result<Event<'a>, DecodeError> {
    let whole = text::of(row.text(Slot::NatSubString))?.ok_or(DecodeError::MissingField)?;
    let (name, inside) = whole.rsplit_once('@').ok_or(DecodeError::BadAddress)?;
    let src_ip = address::whole(inside.as_bytes())?;
    let is_format2 = plan.present.has(Slot::PostSrc4) || plan.present.has(Slot::PostSrc6);
    let x_ip = if is_format2 {
        v4(row.number(Slot::PostSrc4)).or_else(|| v6(plan, row, Slot::PostSrc6))
    } else {
        v4(row.number(Slot::Src4)).or_else(|| v6(plan, row, Slot::Src6))
    };
    let mut event = Event::new(
        Kind::Session,
        action,
        src_ip,
        Some(x_ip.ok_or(DecodeError::BadAddress)?),
    );
    event.protocol = protocol(plan, row)?;
    event.src_port = port(plan, row, Slot::SrcPort)?;
    event.x_port = port(plan, row, Slot::PostSrcPort)?;
    event.dst_ip = v4(row.number(Slot::PostDst4))
        .or_else(|| v4(row.number(Slot::Dst4)))
        .or_else(|| v6(plan, row, Slot::Dst6));
    event.dst_port = match port(plan, row, Slot::PostDstPort)? {
        None | Some(0) => port(plan, row, Slot::DstPort)?,
        translated => translated,
    };
    event.subscriber = (!name.is_empty()).then(|| Text::plain(name));
    Ok(event)
}
