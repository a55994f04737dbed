//! Values in Rust, as JSON.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, Lit, Token};

/// A plain value: a literal, a list, a constant, or one of these with a conversion or a variant around.
pub(super) fn value(expression: &Expr, constants: &BTreeMap<String, Expr>) -> Result<String> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Ok(format!("{:?}", text.value())),
            Lit::Int(number) => Ok(number.base10_digits().to_owned()),
            Lit::Bool(value) => Ok(value.value.to_string()),
            _ => bail!("a literal of this kind has no words here"),
        },
        Expr::MethodCall(call) if ["into", "to_owned"].iter().any(|name| call.method == name) => {
            value(&call.receiver, constants)
        }
        Expr::Macro(call) if call.mac.path.is_ident("vec") => {
            let items = Punctuated::<Expr, Token![,]>::parse_terminated;
            let items = items.parse2(call.mac.tokens.clone())?;
            let items = items.iter().map(|item| value(item, constants));
            Ok(format!(
                "[{}]",
                items.collect::<Result<Vec<_>>>()?.join(", ")
            ))
        }
        Expr::Path(path) => {
            let name = path.path.segments.last().map(|name| name.ident.to_string());
            let name = name.unwrap_or_default();
            let constant = constants.get(&name);
            let constant = constant.with_context(|| format!("{name} is not in this file"))?;
            value(constant, constants)
        }
        // `Value::Object(Map::new())`, `Self::All(true)`
        Expr::Call(call) => match (&*call.func, call.args.first()) {
            (_, Some(inner)) if call.args.len() == 1 => value(inner, constants),
            (Expr::Path(path), None) => {
                let names = path.path.segments.iter();
                let names: Vec<String> = names.map(|name| name.ident.to_string()).collect();
                match names.as_slice() {
                    [.., kind, new] if kind == "Map" && new == "new" => Ok("{}".to_owned()),
                    _ => bail!("{} is no plain value", names.join("::")),
                }
            }
            _ => bail!("a call is no plain value"),
        },
        _ => bail!("is no plain value"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_are_understood_and_others_refused() {
        let constants = BTreeMap::from([("FIVE".to_owned(), syn::parse_str("5").unwrap())]);
        let said = |text: &str| {
            let expression = syn::parse_str(text).unwrap();
            value(&expression, &constants).map_err(|error| error.to_string())
        };
        for (text, expected) in [
            ("1", "1"),
            ("true", "true"),
            (r#""a\"b".into()"#, r#""a\"b""#),
            (r#"vec!["a".into(), "b".to_owned()]"#, r#"["a", "b"]"#),
            ("FIVE", "5"),
            ("Self::All(true)", "true"),
            ("Value::Object(serde_json::Map::new())", "{}"),
        ] {
            assert_eq!(said(text).unwrap(), expected);
        }
        assert_eq!(said("SIX").unwrap_err(), "SIX is not in this file");
        assert_eq!(
            said("Thing::make()").unwrap_err(),
            "Thing::make is no plain value"
        );
        assert_eq!(said("a + b").unwrap_err(), "is no plain value");
        assert_eq!(
            said("1.5").unwrap_err(),
            "a literal of this kind has no words here"
        );
    }
}
