//! Owns how the settings become an [`Auth`], with the secret and admin token that `--dev` makes.

use anyhow::Context;

use super::clock::{Clock, dice};
use super::config::Settings;
use crate::auth::{Auth, KeySource, Passport, Secret, Strangers, mint};
use crate::ids::UnixMillis;

/// A working day and its night: long enough to develop with, short enough to be forgotten.
const ADMIN_TOKEN_MS: i64 = 24 * 60 * 60 * 1_000;

/// What access starts with.
#[derive(Debug)]
pub struct Opened {
    /// Checks tokens.
    pub auth: Auth,
    /// For the operator's eyes, in `--dev` only, and only if the server knows the secret.
    pub admin_token: Option<Secret>,
}

/// Opens the keys that the settings name. [`Settings::check_serve`] has to be asked before.
///
/// # Errors
///
/// When a key cannot be read, or there is neither a key nor `--dev`.
pub async fn open(settings: &Settings, clock: Clock) -> anyhow::Result<Opened> {
    let now = clock.wall();
    let source = match &settings.keys {
        Some(source) => source.clone(),
        None if settings.dev => KeySource::Secret(random_secret(clock)),
        None => anyhow::bail!("there is nothing to check tokens with"),
    };
    let strangers = if settings.dev {
        Strangers::Guests(dice)
    } else {
        Strangers::Refused
    };
    let auth = Auth::open(&source, strangers, now)
        .await
        .context("open the keys")?;
    let admin_token = match &source {
        KeySource::Secret(secret) if settings.dev => Some(admin_token(secret, now)?),
        KeySource::Secret(_) | KeySource::PublicKey(_) | KeySource::Jwks(_) => None,
    };
    Ok(Opened { auth, admin_token })
}

fn random_secret(clock: Clock) -> Secret {
    let (one, two) = (clock.uuid_v4().simple(), clock.uuid_v4().simple());
    Secret::new(format!("{one}{two}"))
}

fn admin_token(secret: &Secret, now: UnixMillis) -> anyhow::Result<Secret> {
    let passport = Passport {
        user: "admin".into(),
        name: Some("Admin".into()),
        rooms: Vec::new(),
        admin: true,
        expires_at: UnixMillis(now.0.saturating_add(ADMIN_TOKEN_MS)),
    };
    Ok(mint(secret, &passport, now)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::Invocation;

    fn settings(words: &[&str]) -> Settings {
        let args = std::iter::once("roundtable").chain(words.iter().copied());
        let absent = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        let args = args.map(Into::into).collect();
        Invocation::parse(args, &|_| None, &absent)
            .unwrap()
            .settings
    }

    #[tokio::test]
    async fn ac16_dev_has_a_random_secret_an_admin_token_and_new_guests_each_time() {
        let clock = Clock::system();
        let dev = settings(&["--dev"]);
        let (one, two) = (
            open(&dev, clock).await.unwrap(),
            open(&dev, clock).await.unwrap(),
        );
        let token = one.admin_token.unwrap();
        let admin = one
            .auth
            .authenticate(Some(token.expose()), clock.wall())
            .await
            .unwrap();
        assert!(admin.admin);
        assert!(
            two.auth
                .authenticate(Some(token.expose()), clock.wall())
                .await
                .is_err()
        );
        let first = one.auth.authenticate(None, clock.wall()).await.unwrap();
        let second = one.auth.authenticate(None, clock.wall()).await.unwrap();
        assert_ne!(first.identity.user, second.identity.user);
    }

    #[tokio::test]
    async fn ac16_outside_of_dev_no_token_is_made_and_nobody_is_a_guest() {
        let clock = Clock::system();
        let secret = "a secret of thirty-two bytes or more";
        let opened = open(&settings(&["--jwt-secret", secret]), clock)
            .await
            .unwrap();
        assert!(opened.admin_token.is_none());
        assert!(opened.auth.authenticate(None, clock.wall()).await.is_err());
        assert!(open(&settings(&[]), clock).await.is_err());
    }
}
