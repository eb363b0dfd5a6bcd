//! What a benchmark found, as one JSON object a line or as text.

use std::borrow::Cow;
use std::fmt;

/// One measure, with what it was compared with in the same run.
#[derive(Clone, Debug)]
pub struct Measure {
    pub bench: &'static str,
    pub measure: Cow<'static, str>,
    pub value: f64,
    pub unit: &'static str,
    /// Name and value of the thing compared with.
    pub against: Option<(&'static str, f64)>,
}

impl Measure {
    /// A measure that stands alone.
    pub fn alone(bench: &'static str, measure: &'static str, value: f64, unit: &'static str) -> Self {
        Self {
            bench,
            measure: measure.into(),
            value,
            unit,
            against: None,
        }
    }

    /// The object; `ratio` is value / against_value.
    pub fn json(&self) -> String {
        let Self {
            bench,
            measure,
            value,
            unit,
            against,
        } = self;
        let compared = match against {
            Some((name, other)) => {
                format!(
                    r#""against":"{name}","against_value":{other:.2},"ratio":{:.4}"#,
                    value / other
                )
            }
            None => r#""against":null,"against_value":null,"ratio":null"#.to_owned(),
        };
        format!(
            r#"{{"bench":"{bench}","measure":"{measure}","value":{value:.4},"unit":"{unit}",{compared}}}"#
        )
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<32} {:>14.2} {}", self.measure, self.value, self.unit)?;
        if let Some((name, other)) = self.against {
            write!(f, "  {:.3} x {name} ({other:.2})", self.value / other)?;
        }
        Ok(())
    }
}
