//! The resolver of the process, with threads as the layer's others.

use anjay_net_resolve::Resolver;

use crate::sys;

/// The resolver that all lookups of the process share.
pub fn resolver() -> &'static Resolver {
    Resolver::global(|helper| {
        let thread = sys::spawn(c"anjay-net-dns", move || helper.run())?;
        thread.detach();
        Ok(())
    })
}
