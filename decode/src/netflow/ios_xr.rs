//! Cisco IOS-XR CGv6: neither natEvent nor time; the template's id says what happened, and deletes carry only the key.
//!
//! The ids are everyone's (256 is the first one there is), so the fields must be exactly those of the id.

use event::Action::{self, Created, Deleted};
use event::Kind::{self, Block, Port, Session};

use super::dialect::Inside::{self, V4, V6};
use super::template::Template;

/// What a template of IOS-XR announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub action: Action,
    pub kind: Kind,
    pub inside: Inside,
}

type Row = (u16, Action, Kind, Inside, &'static [u16]);

/// Id, meaning, and the fields in their order.
const TEMPLATES: [Row; 16] = [
    (256, Created, Port, V4, &[234, 235, 8, 225, 7, 227, 4]),
    (257, Deleted, Port, V4, &[234, 8, 7, 4]),
    (258, Created, Port, V6, &[27, 225, 7, 227, 4]),
    (259, Deleted, Port, V6, &[27, 7, 4]),
    (260, Created, Session, V6, &[27, 225, 28, 226, 7, 227, 11, 4]),
    (261, Deleted, Session, V6, &[27, 28, 7, 11, 4]),
    (265, Created, Block, V4, &[234, 235, 8, 225, 361, 362]),
    (266, Deleted, Block, V4, &[234, 8, 361]),
    // DS-Lite: the inner address, and the softwire's.
    (267, Created, Port, V4, &[234, 235, 8, 27, 225, 7, 227, 4]),
    (268, Deleted, Port, V4, &[234, 8, 27, 7, 4]),
    (269, Created, Block, V4, &[234, 235, 8, 27, 225, 361, 362]),
    (270, Deleted, Block, V4, &[234, 8, 27, 361]),
    (271, Created, Session, V4, &[234, 235, 8, 225, 7, 227, 12, 11, 4]),
    (272, Deleted, Session, V4, &[234, 8, 12, 7, 11, 4]),
    (
        273,
        Created,
        Session,
        V4,
        &[234, 235, 8, 27, 225, 7, 227, 12, 11, 4],
    ),
    (274, Deleted, Session, V4, &[234, 8, 27, 12, 7, 11, 4]),
];

/// What the template announces, if it is one of IOS-XR's.
pub(super) fn announced(template: &Template) -> Option<Announced> {
    if template.is_options() {
        return None;
    }
    TEMPLATES
        .iter()
        .find(|&&(id, .., fields)| {
            let elements = template.fields.iter().map(|field| field.element);
            id == template.id
                && elements
                    .map(|element| (element.enterprise, element.id))
                    .eq(fields.iter().map(|&id| (0, id)))
        })
        .map(|&(_, action, kind, inside, _)| Announced { action, kind, inside })
}

/// Whether all fields are those of IOS-XR's NAT templates: then it means to be one, whatever its id.
pub(super) fn resembles(template: &Template) -> bool {
    let known = |id: u16| TEMPLATES.iter().any(|(.., fields)| fields.contains(&id));
    !template.is_options()
        && !template.fields.is_empty()
        && template
            .fields
            .iter()
            .all(|field| field.element.enterprise == 0 && known(field.element.id))
}
