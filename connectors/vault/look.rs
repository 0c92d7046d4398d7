//! The order of one run: who looks, what there is, then namespace by namespace from what rules need to what is many.
//! It must never let what cannot be seen in one place keep it from looking at the next.

use super::{
    approle, engines, identity, kv,
    mounts::{self, Mounts},
    pki,
    place::{Looking, Mount, Place},
    policies,
    policy::Book,
    secret_ids, server, tokens, transit, usage, values,
};
use crate::{Emitter, Stopped};

/// Looks at everything.
pub(super) async fn all(looking: &Looking<'_>, to: &mut Emitter) -> Result<(), Stopped> {
    let namespaces = Box::pin(server::namespaces(looking, to)).await?;
    for namespace in namespaces {
        let mut place = Place { looking, namespace, book: Book::default(), policies_denied: false };
        // Requests of all namespaces are written down by the devices of the root.
        if place.namespace.is_empty() {
            Box::pin(server::audit_devices(&place, to)).await?;
        }
        Box::pin(policies::all(&mut place, to)).await?;
        let Mounts { auth, engines } = Box::pin(mounts::all(&place, to)).await?;
        for mount in auth.iter().filter(|it| it.sort == "approle") {
            let roles = Box::pin(approle::all(&place, mount, to)).await?;
            if let Some(roles) = roles {
                Box::pin(secret_ids::all(&place, (mount, &roles), to)).await?;
                Box::pin(usage::logins(&place, (mount, &roles), to)).await?;
            }
        }
        Box::pin(identity::all(&place, to)).await?;
        for mount in &engines {
            Box::pin(engine(&place, mount, to)).await?;
        }
        Box::pin(tokens::all(&place, to)).await?;
        looking.count(to).await?;
    }
    Ok(())
}

async fn engine(place: &Place<'_>, mount: &Mount, to: &mut Emitter) -> Result<(), Stopped> {
    if let Some(engine) = engines::of(mount) {
        return Box::pin(engines::all(place, (mount, engine), to)).await;
    }
    match mount.sort.as_str() {
        "kv" | "generic" => match Box::pin(kv::all(place, mount, to)).await? {
            Some(secrets) => {
                Box::pin(usage::readers(place, (mount, &secrets), to)).await?;
                Box::pin(values::all(place, (mount, &secrets), to)).await
            }
            None => Ok(()),
        },
        "pki" => Box::pin(pki::all(place, mount, to)).await,
        "transit" => Box::pin(transit::all(place, mount, to)).await,
        _ => Ok(()),
    }
}
