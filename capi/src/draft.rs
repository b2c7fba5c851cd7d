//! What may be changed of a request's head, in the callback that is asked before each attempt.

use core::ffi::{c_char, c_int};

use engine::engine::Draft;

use crate::border::{Fail, bytes, fail, guarded, str_of, text};
use crate::types::*;

/// Within prepare: gives a field this value, in place of all that it had; a NULL value takes it out.
/// GANNET_E_REQUEST where nothing was changed: the field is the library's own (framing), is not fit to
/// be sent, or, to be taken out, was not there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_draft_set(
    draft: *mut gannet_draft,
    name: *const c_char,
    value: *const c_char,
    value_len: usize,
) -> c_int {
    // SAFETY: the header's promises: a name that ends in NUL, and so many bytes of a value.
    let inside = || unsafe {
        let Some(name) = text(name, "name")? else {
            return fail(GANNET_E_ARGUMENT, "name is NULL");
        };
        let draft = of(draft)?;
        let done = if value.is_null() {
            draft.remove(name)
        } else {
            draft.set(name, bytes(value.cast(), value_len))
        };
        if done { Ok(()) } else { fail(GANNET_E_REQUEST, "the field stays as it is") }
    };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), (), inside).1 }
}

/// Within prepare: the request line and the field lines as they stand, to be signed. Valid until
/// gannet_draft_set changes them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_draft_bytes(draft: *mut gannet_draft) -> gannet_str {
    // SAFETY: the header's promises.
    let inside = || unsafe { Ok(str_of(of(draft)?.bytes())) };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), str_of(b""), inside).0 }
}

/// # Safety
/// `draft` is NULL, or was handed to the callback that is running.
unsafe fn of<'a>(draft: *mut gannet_draft) -> Result<&'a mut Draft<'a>, Fail> {
    // SAFETY: the caller's promise.
    match unsafe { draft.as_mut() } {
        // SAFETY: it points to the draft that the callback was made with, which is not used
        // otherwise until the callback returns; the reference ends before that.
        Some(draft) => Ok(unsafe { &mut *draft.draft.cast::<Draft<'a>>() }),
        None => fail(GANNET_E_ARGUMENT, "the draft is NULL"),
    }
}
