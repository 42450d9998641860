//! Plain arrays of images, as stored by the policies that search them:
//! `images u32 | image u64 | image u64 | ...` (little-endian).

use bytes::{Buf, BufMut, Bytes};

/// Encodes `images`.
///
/// # Errors
/// The reason why they cannot be stored.
pub(super) fn encode(images: &[u64]) -> Result<Vec<u8>, &'static str> {
    let count = u32::try_from(images.len()).map_err(|_| "more than 2^32 - 1 images")?;
    if count == 0 {
        return Err("no images");
    }
    let mut encoded = Vec::with_capacity(4 + 8 * images.len());
    encoded.put_u32_le(count);
    for image in images {
        encoded.put_u64_le(*image);
    }
    Ok(encoded)
}

/// Reads an array back; `None` if the bytes are not one, or if it is empty. The order is not
/// checked: a search in an array of any order ends at one of its ranks.
pub(super) fn decode(mut encoded: Bytes) -> Option<Vec<u64>> {
    let count = encoded.try_get_u32_le().ok()? as usize;
    let fits = count > 0 && encoded.len().is_multiple_of(8) && encoded.len() / 8 == count;
    fits.then(|| {
        encoded
            .chunks_exact(8)
            .map(|mut image| image.get_u64_le())
            .collect()
    })
}
