//! The border itself: what comes from C is looked at before it is believed, what goes back is a
//! code and a text, and no panic crosses.

use core::ffi::{CStr, c_char, c_int};
use core::mem::{MaybeUninit, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::types::*;

/// Why a call failed.
pub(crate) struct Fail {
    code: c_int,
    text: String,
}

pub(crate) fn fail<T>(code: c_int, text: impl Into<String>) -> Result<T, Fail> {
    Err(Fail { code, text: text.into() })
}

impl From<engine::fetch::StartError> for Fail {
    fn from(error: engine::fetch::StartError) -> Self {
        use engine::fetch::StartError::{Config, System};
        let code = match error {
            System(_) => GANNET_E_SYSTEM,
            Config(_) => GANNET_E_CONFIG,
            _ => GANNET_E_ARGUMENT,
        };
        Self { code, text: error.to_string() }
    }
}

impl From<engine::fetch::Error> for Fail {
    fn from(error: engine::fetch::Error) -> Self {
        use engine::fetch::ErrorKind::{Draining, Full};
        let code = match &error.kind {
            Full => GANNET_E_FULL,
            Draining => GANNET_E_DRAINING,
            _ => GANNET_E_REQUEST,
        };
        Self { code, text: describe(&error) }
    }
}

impl From<std::io::Error> for Fail {
    fn from(error: std::io::Error) -> Self {
        Self { code: GANNET_E_SYSTEM, text: error.to_string() }
    }
}

/// An error in a sentence, with what to do about it.
pub(crate) fn describe(error: &engine::fetch::Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// Runs the inside of a call: a failure is written to `error`, a panic becomes one.
///
/// # Safety
/// `error` is NULL or may be written to.
pub(crate) unsafe fn guarded<T>(
    error: *mut gannet_error,
    otherwise: T,
    inside: impl FnOnce() -> Result<T, Fail>,
) -> (T, c_int) {
    let result = catch_unwind(AssertUnwindSafe(inside)).unwrap_or_else(|_| {
        fail(GANNET_E_DEFECT, "a defect of gannet: please report it; the handle can only be freed")
    });
    let (value, code, text) = match result {
        Ok(value) => (value, GANNET_OK, String::new()),
        Err(failure) => (otherwise, failure.code, failure.text),
    };
    if !error.is_null() {
        let mut told = gannet_error { code, text: [0; 252] };
        // The last byte stays NUL, and a character is not cut in two.
        let mut end = text.len().min(told.text.len() - 1);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        for (to, from) in told.text.iter_mut().zip(&text.as_bytes()[..end]) {
            *to = *from as c_char;
        }
        // SAFETY: the caller's promise; `gannet_error` needs no drop.
        unsafe { error.write(told) };
    }
    (value, code)
}

/// Structs that begin with their own size, and for which all zeros is a value.
///
/// # Safety
/// That must be so: `repr(C)`, a `usize` first, and nothing but numbers, raw pointers and optional
/// function pointers behind it.
pub(crate) unsafe trait Sized_: Copy {}
// SAFETY: looked at in `types`.
unsafe impl Sized_ for gannet_options {}
// SAFETY: looked at in `types`.
unsafe impl Sized_ for gannet_request {}
// SAFETY: looked at in `types`.
unsafe impl Sized_ for gannet_callbacks {}

/// Reads a struct of either side's age: what an older caller does not know is zero; what a newer
/// one knows and this library does not must be zero.
///
/// # Safety
/// `from` is NULL, or points to as many bytes as it says in its first field.
pub(crate) unsafe fn read_sized<T: Sized_>(from: *const T, name: &str) -> Result<T, Fail> {
    if from.is_null() {
        return fail(GANNET_E_ARGUMENT, format!("{name} is NULL"));
    }
    // SAFETY: not NULL, and the caller's promise covers the first field at least.
    let size = unsafe { from.cast::<usize>().read() };
    if size < size_of::<usize>() || size > 4096 {
        return fail(GANNET_E_ARGUMENT, format!("{name}.size is {size}: set it to sizeof"));
    }
    let bytes = from.cast::<u8>();
    let known = size.min(size_of::<T>());
    for at in known..size {
        // SAFETY: below `size`, which the caller promises to be there.
        if unsafe { bytes.add(at).read() } != 0 {
            return fail(
                GANNET_E_ARGUMENT,
                format!("{name} asks for something that this version of the library does not know"),
            );
        }
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes are there on both sides, which do not overlap; all zeros is a value of
    // T, and so is what the caller wrote.
    unsafe {
        core::ptr::copy_nonoverlapping(bytes, value.as_mut_ptr().cast::<u8>(), known);
        Ok(value.assume_init())
    }
}

/// A string from C.
///
/// # Safety
/// `from` is NULL, or ends in NUL and stays while the result is used.
pub(crate) unsafe fn text<'a>(from: *const c_char, name: &str) -> Result<Option<&'a str>, Fail> {
    if from.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(from) };
    match text.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => fail(GANNET_E_ARGUMENT, format!("{name} is not UTF-8")),
    }
}

/// Bytes from C.
///
/// # Safety
/// `from` is NULL, or points to `len` bytes that stay while the result is used.
pub(crate) unsafe fn bytes<'a>(from: *const u8, len: usize) -> &'a [u8] {
    if from.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(from, len) }
}

/// Bytes for C.
pub(crate) const fn str_of(bytes: &[u8]) -> gannet_str {
    gannet_str { ptr: bytes.as_ptr().cast(), len: bytes.len() }
}
