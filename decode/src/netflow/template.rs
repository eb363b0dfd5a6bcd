//! Templates, and the records that they describe (RFC 3954 sections 5.2 and 6.1, RFC 7011 section 3.4).

use std::slice;

use super::element::Element;
use super::message::Version;
use crate::DecodeError;

/// Most fields of a template. The longest one seen has 70.
pub const FIELDS_PER_TEMPLATE_MAX: usize = 256;

/// "As long as the record says" (RFC 7011 section 7). H3C writes it in NetFlow v9 too.
const VARIABLE: u16 = 0xffff;

/// One field of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub element: Element,
    /// Octets; `None` if each record says how many.
    pub octets: Option<u16>,
}

/// What a record of a data set is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub id: u16,
    /// Of an options template: so many of the first fields are its scope. In NetFlow v9 their numbers are scope types
    /// (1 system, 2 interface, 3 line card, 4 cache, 5 template) and no elements.
    pub scope_fields: Option<u16>,
    pub fields: Box<[Field]>,
    /// As it came: enough to make it again.
    wire: Box<[u8]>,
    /// Octets of the shortest record.
    pub(super) octets_min: usize,
    pub(super) is_variable: bool,
}

/// What stands in a template set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    Template(Written<'a>),
    /// IPFIX: no fields. Of 2 and 3: all templates of that kind (RFC 7011 section 8.1).
    Withdrawal(u16),
    /// More fields than [`FIELDS_PER_TEMPLATE_MAX`].
    TooLarge(u16),
}

/// A template as it stands in a datagram: measured, not yet taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written<'a> {
    pub id: u16,
    version: Version,
    scope_fields: Option<u16>,
    /// From its id on.
    pub wire: &'a [u8],
    /// From its first field on.
    fields: &'a [u8],
    count: usize,
}

impl<'a> Written<'a> {
    pub(super) fn is_options(self) -> bool {
        self.scope_fields.is_some()
    }

    /// Takes the next template, or options template, from the begin of a set's octets.
    ///
    /// # Errors
    /// [`DecodeError::BadTemplate`] if it does not fit, or has an id that is none; the rest of the set is lost then.
    pub(super) fn take(
        version: Version,
        is_options: bool,
        set: &mut &'a [u8],
    ) -> Result<Entry<'a>, DecodeError> {
        let whole = *set;
        let mut rest = *set;
        let id = u16_of(&mut rest)?;
        let first = u16_of(&mut rest)?;
        if version == Version::Ipfix && first == 0 {
            *set = rest;
            return Ok(Entry::Withdrawal(id));
        }
        if id < 256 {
            return Err(DecodeError::BadTemplate);
        }
        let (count, scope_fields) = match (version, is_options) {
            (_, false) => (first, None),
            (Version::Ipfix, true) => (first, Some(u16_of(&mut rest)?)),
            (Version::V9, true) => {
                let (scope, options) = (first, u16_of(&mut rest)?);
                if scope % 4 != 0 || options % 4 != 0 {
                    return Err(DecodeError::BadTemplate);
                }
                (scope.saturating_add(options) / 4, Some(scope / 4))
            }
        };
        if scope_fields.is_some_and(|scope| scope > count) {
            return Err(DecodeError::BadTemplate);
        }
        let fields = rest;
        for _ in 0..count {
            take_field(version, &mut rest)?;
        }
        let written = Self {
            id,
            version,
            scope_fields,
            wire: &whole[..whole.len() - rest.len()],
            fields: &fields[..fields.len() - rest.len()],
            count: usize::from(count),
        };
        *set = rest;
        Ok(if written.count > FIELDS_PER_TEMPLATE_MAX {
            Entry::TooLarge(id)
        } else {
            Entry::Template(written)
        })
    }
}

impl Template {
    pub(super) fn new(written: Written<'_>) -> Self {
        let mut rest = written.fields;
        let fields: Box<[Field]> = (0..written.count)
            .filter_map(|_| take_field(written.version, &mut rest).ok())
            .collect();
        Self {
            id: written.id,
            scope_fields: written.scope_fields,
            octets_min: fields
                .iter()
                .map(|field| field.octets.map_or(1, usize::from))
                .sum(),
            is_variable: fields.iter().any(|field| field.octets.is_none()),
            fields,
            wire: written.wire.into(),
        }
    }

    /// The template as it came, from its id on.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    pub fn is_options(&self) -> bool {
        self.scope_fields.is_some()
    }

    /// Octets of the record at the begin of `octets`; `None` if it does not fit, or has none.
    #[inline]
    fn measure(&self, octets: &[u8]) -> Option<usize> {
        if !self.is_variable {
            return (self.octets_min > 0 && octets.len() >= self.octets_min).then_some(self.octets_min);
        }
        let mut rest = octets;
        for field in &self.fields {
            take_value(*field, &mut rest)?;
        }
        Some(octets.len() - rest.len())
    }

    /// The whole records of a data set's octets. What is left behind the last one is padding, or was cut off.
    pub fn records<'a>(&'a self, set: &'a [u8]) -> Records<'a> {
        Records {
            template: self,
            rest: set,
        }
    }
}

/// See [`Template::records`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    template: &'a Template,
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let length = self.template.measure(self.rest)?;
        let (octets, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(Record {
            template: self.template,
            octets,
        })
    }
}

/// One record, with its template.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub template: &'a Template,
    pub octets: &'a [u8],
}

impl<'a> Record<'a> {
    /// Its fields in order, each with its octets (without those that state a variable length).
    pub fn fields(&self) -> Fields<'a> {
        Fields {
            fields: self.template.fields.iter(),
            rest: self.octets,
        }
    }
}

/// See [`Record::fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    fields: slice::Iter<'a, Field>,
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Field, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let field = *self.fields.next()?;
        Some((field, take_value(field, &mut self.rest)?))
    }
}

/// Takes a field's octets; `None` if they are not all there.
#[inline]
fn take_value<'a>(field: Field, rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = match field.octets {
        Some(octets) => usize::from(octets),
        None => take_length(rest)?,
    };
    let (value, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(value)
}

/// A length of one octet, or 255 and two octets.
fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let (&short, behind) = rest.split_first()?;
    *rest = behind;
    if short < 255 {
        return Some(short.into());
    }
    u16_of(rest).ok().map(usize::from)
}

fn take_field(version: Version, rest: &mut &[u8]) -> Result<Field, DecodeError> {
    const ENTERPRISE_BIT: u16 = 0x8000;
    let id = u16_of(rest)?;
    let octets = match u16_of(rest)? {
        VARIABLE => None,
        octets => Some(octets),
    };
    let element = if version == Version::Ipfix && id & ENTERPRISE_BIT != 0 {
        let (high, low) = (u16_of(rest)?, u16_of(rest)?);
        Element {
            enterprise: u32::from(high) << 16 | u32::from(low),
            id: id & !ENTERPRISE_BIT,
        }
    } else {
        Element::iana(id)
    };
    Ok(Field { element, octets })
}

fn u16_of(rest: &mut &[u8]) -> Result<u16, DecodeError> {
    let (value, behind) = rest.split_first_chunk().ok_or(DecodeError::BadTemplate)?;
    *rest = behind;
    Ok(u16::from_be_bytes(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(version: Version, is_options: bool, words: &[u16]) -> Result<Template, DecodeError> {
        let octets: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        match Written::take(version, is_options, &mut &octets[..])? {
            Entry::Template(written) => Ok(Template::new(written)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_enterprise_bit_is_ipfix_alone() {
        let ipfix = template(Version::Ipfix, false, &[256, 1, 0x8169, 2, 0, 35632]).unwrap();
        assert_eq!(
            ipfix.fields[0].element,
            Element {
                enterprise: 35632,
                id: 361
            }
        );
        let v9 = template(Version::V9, false, &[256, 1, 40001, 4]).unwrap();
        assert_eq!(v9.fields[0].element, Element::iana(40001));
    }

    #[test]
    fn variable_lengths_in_one_and_three_octets() {
        let template = template(Version::Ipfix, false, &[300, 2, 236, 0xffff, 4, 1]).unwrap();
        let mut set = vec![3, b'a', b'b', b'c', 6, 255, 1, 0];
        set.extend([b'x'; 256]);
        set.extend([17, 255, 255]);
        let values: Vec<Vec<&[u8]>> = template
            .records(&set)
            .map(|record| record.fields().map(|(_, value)| value).collect())
            .collect();
        assert_eq!(values, [[&b"abc"[..], &[6]], [&[b'x'; 256], &[17]]]);
    }

    #[test]
    fn records_without_octets_are_none() {
        let template = template(Version::V9, false, &[256, 2, 8, 0, 12, 0]).unwrap();
        assert_eq!(template.records(&[0; 100]).count(), 0);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (version, is_options, words) in [
            (Version::V9, false, &[255, 1, 8, 4][..]),
            (Version::V9, false, &[256, 2, 8, 4]),
            (Version::V9, true, &[256, 3, 4, 1, 4, 8, 4]),
            (Version::V9, true, &[256, 4, 8, 1, 4, 8, 4]),
            (Version::Ipfix, true, &[256, 1, 2, 8, 4]),
            (Version::Ipfix, false, &[256, 1, 0x8008, 4]),
            (Version::Ipfix, false, &[256]),
        ] {
            assert_eq!(
                template(version, is_options, words),
                Err(DecodeError::BadTemplate),
                "{words:?}"
            );
        }
    }
}
