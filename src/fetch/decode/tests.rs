use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

const HELLO: &[u8] = b"hello, hello, hello";

#[rustfmt::skip]
const HELLO_BR: &[u8] = &[27, 18, 0, 248, 141, 148, 110, 222, 68, 9, 82, 134, 150, 108, 44, 111, 17, 79, 36, 208, 113, 0];
#[rustfmt::skip]
const EMPTY_BR: &[u8] = &[59];
#[rustfmt::skip]
const PATTERN_BR: &[u8] = &[19, 255, 15, 0, 100, 0, 206, 217, 227, 34, 175, 5, 227, 111, 201, 94, 120, 95, 20, 191, 64, 60, 211, 170, 155, 222, 131, 234, 209, 207, 227, 219, 163, 229, 156, 157, 4, 225, 206, 4, 109, 147, 220, 196, 148, 91, 59, 19, 5, 22, 180, 54, 9, 142, 8, 183, 124, 109, 110, 10, 115, 202, 151, 2, 107, 112, 6, 191, 16, 1, 1, 17, 17, 9, 9, 0, 64, 70, 70, 65, 65, 69, 69, 67, 71, 199, 192, 196, 196, 194, 198, 193, 193, 197, 195, 199, 39, 32, 252, 48, 254, 56, 64, 82, 50, 114, 10, 74, 42, 106, 26, 90, 58, 122, 70, 38, 102, 22, 54, 118, 14, 78, 110, 30, 94, 126, 1, 65, 97, 17, 49, 241, 95, 191, 65, 82, 50, 178, 242, 10, 74, 202, 170, 234, 26, 90, 58, 186, 250, 134, 198, 38, 102, 22, 86, 214, 182, 246, 142, 206, 174, 238, 158, 222, 190, 254, 224, 160, 144, 80, 72, 120, 100, 116, 108, 124, 98, 114, 90, 70, 86, 78, 126, 97, 113, 105, 69, 85, 77, 125, 99, 115, 91, 71, 119, 239, 192, 16, 116, 116, 98, 106, 118, 126, 105, 101, 125, 107, 103, 255, 232, 255, 217, 229, 205, 221, 227, 203, 251, 39, 44, 2, 0, 21, 3, 27, 143, 144, 228, 59, 144, 156, 138, 150, 129, 153, 141, 147, 135, 95, 72, 244, 23, 72, 70, 94, 89, 77, 83, 199, 192, 216, 204, 202, 214, 193, 197, 221, 219, 47, 48, 4, 18, 17, 19, 159, 156, 150, 149, 91, 88, 90, 81, 211, 208, 220, 222, 221, 63, 52, 50, 49, 51, 191, 188, 190, 189, 127, 124, 118, 117, 247, 244, 6, 3, 15, 64, 195, 194, 35, 250, 6, 164, 160, 97, 96, 229, 228, 21, 20, 251, 45, 45, 175, 162, 161, 99, 104, 106, 105, 231, 228, 238, 29, 16, 12, 137, 140, 75, 74, 207, 46, 40, 169, 172, 107, 106, 239, 25, 128, 78, 204, 46, 174, 109, 31, 252, 191, 184, 125, 122, 135, 69, 66, 195, 38, 248, 10, 164, 164, 99, 230, 224, 21, 18, 7, 201, 41, 107, 232, 25, 91, 216, 58, 123, 248, 6, 254, 141, 140, 75, 201, 204, 43, 169, 172, 111, 233, 234, 135, 78, 204, 45, 111, 238, 253, 191, 184, 123, 249, 68, 64, 197, 34, 248, 70, 70, 205, 200, 206, 43, 36, 33, 173, 168, 174, 107, 108, 105, 239, 234, 13, 14, 141, 140, 79, 205, 46, 44, 175, 109, 238, 236, 31, 153, 90, 88, 219, 61, 190, 184, 123, 253, 130, 132, 129, 71, 66, 74, 205, 196, 193, 47, 10, 146, 87, 211, 49, 182, 116, 112, 243, 13, 14, 139, 77, 201, 42, 172, 168, 111, 237, 25, 158, 152, 91, 221, 57, 190, 124, 120, 135, 71, 197, 33, 6, 82, 51, 113, 10, 136, 75, 43, 105, 26, 152, 219, 185, 249, 6, 135, 199, 167, 229, 150, 212, 52, 119, 13, 141, 207, 173, 237, 158, 92, 63, 195, 0, 48, 9, 127, 80, 49, 114, 10, 72, 200, 170, 232, 152, 88, 59, 123, 7, 133, 197, 165, 229, 149, 214, 182, 246, 66, 167, 151, 183, 143, 175, 158, 96, 0, 88, 68, 64, 26, 22, 30, 17, 144, 162, 166, 145, 149, 147, 87, 80, 120, 124, 122, 65, 69, 67, 231, 224, 248, 194, 198, 225, 197, 227, 39, 0, 139, 152, 148, 142, 141, 95, 92, 86, 77, 207, 220, 193, 3, 28, 22, 159, 94, 80, 217, 212, 53, 60, 181, 188, 115, 114, 251, 134, 128, 65, 8, 164, 101, 227, 151, 144, 83, 55, 176, 116, 242, 14, 142, 74, 206, 41, 173, 239, 24, 156, 88, 218, 254, 127, 251, 134, 128, 73, 68, 70, 207, 41, 4, 82, 210, 49, 181, 247, 8, 12, 79, 204, 46, 169, 235, 24, 156, 92, 222, 61, 189, 255, 68, 198, 249, 70, 197, 194, 39, 33, 175, 105, 108, 235, 14, 14, 79, 204, 46, 173, 239, 28, 158, 94, 221, 191, 120, 134, 67, 39, 36, 99, 224, 18, 145, 81, 51, 176, 118, 245, 15, 75, 200, 46, 109, 232, 130, 206, 110, 28, 221, 188, 33, 97, 127, 163, 102, 21, 144, 84, 210, 181, 112, 246, 253, 27, 159, 85, 82, 223, 5, 157, 219, 252, 127, 247, 137, 130, 15, 164, 231, 18, 149, 213, 48, 182, 243, 12, 142, 78, 43, 170, 237, 24, 158, 221, 56, 190, 253, 68, 193, 39, 101, 224, 22, 151, 215, 54, 115, 242, 133, 36, 228, 148, 55, 247, 77, 44, 239, 95, 189, 34, 225, 254, 160, 227, 18, 147, 211, 106, 194, 137, 185, 149, 173, 131, 211, 235, 199, 119, 48, 104, 68, 20, 44, 2, 32, 85, 67, 91, 207, 144, 184, 172, 178, 166, 254, 201, 213, 195, 219, 79, 84, 226, 130, 82, 234, 198, 14, 62, 144, 196, 188, 170, 246, 225, 185, 173, 179, 103, 4, 156, 159, 244, 60, 191, 148, 245, 109, 60, 255, 196, 101, 87, 180, 14, 205, 178, 95, 68, 92, 32, 35, 159, 164, 170, 145, 189, 15, 36, 41, 191, 166, 107, 116, 105, 255, 230, 19, 141, 152, 154, 67, 84, 65, 215, 202, 35, 36, 62, 167, 170, 29, 186, 176, 119, 245, 129, 74, 76, 197, 33, 166, 160, 103, 227, 25, 154, 152, 95, 211, 53, 182, 114, 120, 7, 139, 245, 131, 129, 15, 164, 110, 234, 12, 142, 206, 44, 111, 29, 158, 223, 189, 250, 64, 35, 161, 229, 254, 165, 98, 236, 232, 31, 153, 81, 214, 178, 1, 215, 159, 24, 223, 232, 121, 65, 234, 102, 46, 65, 177, 57, 85, 157, 99, 43, 199, 143, 8, 120, 228, 108, 34, 10, 250, 118, 62, 225, 105, 165, 45, 195, 11, 251, 183, 176, 216, 64, 102, 33, 57, 93, 27, 239, 176, 212, 146, 230, 33, 182, 193, 33, 101, 17, 86, 208, 183, 243, 139, 204, 168, 104, 31, 93, 249, 255, 4, 32, 164, 230, 250, 173, 102, 230, 26, 146, 88, 208, 48, 48, 187, 123, 3, 139, 77, 202, 42, 170, 104, 232, 8, 142, 205, 173, 237, 157, 222, 190, 130, 193, 2, 178, 136, 0, 239, 155, 217, 185, 134, 197, 33, 99, 19, 87, 49, 113, 13, 73, 44, 106, 26, 94, 60, 122, 4, 16, 209, 242, 74, 107, 219, 248, 68, 102, 85, 117, 79, 109, 93, 125, 193, 33, 99, 151, 80, 51, 115, 255, 155, 90, 214, 62, 182, 126, 254, 129, 9, 100, 21, 83, 49, 117, 11, 77, 41, 109, 27, 93, 227, 40, 108, 226, 170, 102, 30, 144, 180, 138, 206, 137, 173, 43, 88, 92, 74, 46, 144, 150, 141, 111, 116, 78, 93, 255, 252, 225, 35, 242, 87, 6, 33, 69, 99, 151, 63, 41, 101, 237, 227, 155, 87, 176, 120, 84, 60, 210, 186, 246, 224, 248, 194, 102, 232, 234, 217, 7, 22, 25, 199, 111, 45, 27, 191, 152, 252, 198, 225, 229, 211, 119, 76, 196, 251, 199, 22, 52, 65, 87, 207, 63, 113, 40, 184, 165, 116, 29, 2, 19, 75, 218, 198, 183, 110, 224, 9, 233, 4, 21, 140, 221, 32, 25, 213, 125, 243, 71, 47, 232, 64, 246, 223, 90, 182, 1, 241, 69, 173, 99, 155, 215, 8, 68, 244, 66, 202, 102, 158, 17, 57, 245, 67, 43, 103, 159, 184, 84, 124, 114, 70, 174, 144, 140, 154, 254, 197, 255, 239, 88, 20, 60, 50, 6, 46, 161, 233, 213, 253, 11, 255, 223, 177, 41, 120, 100, 13, 93, 33, 153, 181, 131, 203, 103, 48, 120, 52, 2, 138, 166, 158, 145, 185, 141, 208, 245, 107, 4, 98, 70, 49, 117, 107, 255, 132, 146, 142, 233, 253, 39, 116, 82, 46, 105, 3, 23, 72, 102, 221, 208, 234, 5, 28, 33, 131, 168, 154, 117, 64, 66, 105, 215, 236, 225, 43, 22, 37, 175, 188, 137, 103, 84, 126, 203, 248, 206, 3, 42, 144, 83, 218, 192, 53, 44, 187, 1, 186, 113, 131, 244, 157, 77, 82, 215, 249, 111, 102, 221, 191, 245, 107, 164, 111, 172, 251, 162, 89, 245, 208, 141, 91, 192, 15, 118, 41, 125, 215, 240, 156, 166, 177, 237, 7, 52, 50, 110, 57, 19, 175, 232, 194, 246, 233, 195, 55, 28, 26, 33, 85, 107, 112, 114, 101, 255, 242, 5, 60, 9, 203, 111, 93, 231, 176, 156, 166, 177, 221, 39, 12, 10, 126, 37, 11, 255, 196, 242, 190, 165, 11, 248, 175, 172, 32, 125, 183, 136, 252, 214, 169, 131, 55, 92, 90, 17, 13, 187, 144, 140, 122, 232, 214, 3, 58, 57, 159, 146, 101, 64, 114, 213, 224, 218, 13, 50, 144, 91, 222, 204, 55, 161, 188, 111, 249, 18, 241, 59, 167, 172, 137, 119, 124, 89, 239, 18, 122, 124, 226, 203, 251, 86, 174, 0, 63, 185, 229, 205, 253, 146, 42, 7, 215, 111, 81, 201, 249, 148, 173, 131, 210, 234, 70, 118, 158, 176, 104, 68, 52, 29, 33, 185, 173, 211, 199, 48, 68, 44, 32, 67, 207, 216, 210, 222, 229, 43, 0, 41, 175, 146, 85, 80, 122, 253, 232, 222, 43, 46, 131, 132, 174, 91, 84, 113, 247, 210, 37, 0, 200, 171, 100, 29, 148, 209, 48, 126, 240, 78, 192, 44, 105, 232, 21, 95, 62, 176, 126, 143, 78, 37, 172, 233, 20, 94, 208, 185, 112, 129, 4, 228, 85, 182, 9, 201, 106, 158, 58, 254, 66, 194, 46, 103, 30, 144, 90, 63, 182, 255, 78, 200, 34, 101, 226, 155, 84, 3, 221, 125, 197, 103, 2, 25, 249, 36, 86, 255, 219, 121, 193, 99, 146, 196, 115, 62, 102, 41, 99, 223, 228, 218, 209, 253, 15, 34, 54, 89, 115, 112, 122, 227, 228, 49, 236, 55, 46, 69, 235, 144, 236, 182, 185, 115, 36, 50, 1, 117, 199, 136, 162, 158, 213, 59, 12, 90, 113, 125, 207, 132, 42, 232, 238, 59, 33, 155, 172, 69, 96, 102, 203, 204, 25, 18, 169, 128, 134, 115, 100, 73, 255, 198, 35, 14, 35, 200, 196, 63, 173, 113, 234, 4, 1, 200, 175, 238, 4, 233, 19, 46, 147, 148, 25, 56, 163, 121, 246, 28, 64, 46, 172, 237, 22, 87, 249, 111, 239, 131, 132, 83, 201, 22, 82, 208, 179, 250, 128, 205, 8, 50, 5, 103, 180, 204, 93, 160, 80, 137, 233, 121, 37, 213, 141, 31, 195, 3, 5, 52, 93, 99, 43, 161, 251, 48, 223, 120, 84, 29, 35, 75, 7, 183, 223, 136, 56, 148, 236, 194, 138, 250, 55, 95, 8, 216, 21, 108, 32, 133, 189, 27, 207, 4, 108, 67, 239, 219, 80, 26, 219, 176, 162, 254, 173, 87, 34, 78, 101, 251, 136, 210, 161, 157, 143, 175, 60, 106, 206, 49, 149, 35, 135, 112, 64, 65, 109, 143, 196, 186, 201, 83, 0, 165, 152, 129, 95, 122, 203, 252, 13, 38, 131, 148, 69, 72, 94, 207, 250, 51, 33, 135, 178, 67, 84, 57, 244, 0, 14, 40, 164, 227, 149, 220, 56, 123, 137, 78, 15, 50, 15, 201, 239, 217, 120, 37, 230, 82, 117, 142, 173, 30, 63, 1, 80, 73, 24, 131, 179, 59, 87, 159, 8, 56, 148, 29, 163, 43, 71, 255, 35, 81, 138, 115, 159, 214, 158, 9, 185, 84, 157, 227, 106, 38, 207, 80, 105, 65, 230, 127, 10, 250, 183, 63, 191, 11, 232, 120, 165, 182, 44, 220, 225, 178, 41, 58, 68, 87, 141, 157, 32, 211, 72, 154, 255, 41, 28, 216, 253, 2, 20, 214, 247, 203, 236, 88, 125, 38, 226, 86, 119, 75, 106, 156, 187, 193, 97, 85, 116, 136, 169, 158, 56, 71, 163, 151, 177, 14, 47, 27, 57, 6, 80, 75, 154, 135, 22, 13, 237, 195, 83, 136, 155, 4, 231, 247, 239, 194, 146, 138, 26, 5, 230, 246, 110, 195, 0, 69, 12, 193, 158, 34, 48, 175, 111, 7, 150, 76, 204, 56, 184, 96, 96, 31, 158, 226, 151, 89, 104, 241, 191, 35, 0, 141, 148, 85, 120, 249, 216, 41, 26, 163, 156, 125, 76, 205, 244, 53, 14, 155, 138, 107, 82, 211, 226, 35, 17, 175, 182, 79, 102, 215, 230, 39, 80, 212, 56, 184, 112, 232, 16, 137, 70, 202, 58, 162, 106, 242, 18, 235, 9, 180, 101, 249, 249, 171, 128, 94, 64, 110, 255, 30, 2, 21, 200, 42, 162, 114, 242, 18, 155, 77, 213, 61, 165, 109, 237, 237, 135, 136, 113, 112, 209, 191, 255, 40, 12, 242, 142, 241, 141, 139, 79, 36, 2, 250, 224, 252, 193, 67, 0, 157, 172, 125, 108, 253, 252, 3, 49, 191, 94, 64, 52, 232, 229, 28, 180, 222, 243, 87, 33, 195, 224, 34, 232, 9, 58, 179, 178, 107, 74, 219, 250, 39, 169, 132, 69, 88, 229, 212, 13, 30, 183, 182, 95, 78, 255, 1, 128, 94, 222, 41, 177, 101, 245, 29, 40, 110, 222, 240, 227, 243, 232, 248, 231, 13, 29, 163, 50, 41, 187, 165, 118, 108, 193, 82, 74, 217, 198, 52, 44, 190, 124, 23, 53, 133, 84, 76, 221, 16, 240, 234, 129, 11, 161, 167, 152, 236, 234, 222, 217, 253, 7, 200, 140, 74, 174, 169, 157, 219, 240, 52, 178, 142, 137, 173, 235, 48, 20, 32, 219, 216, 198, 229, 55, 160, 132, 101, 100, 221, 194, 243, 119, 49, 243, 240, 234, 185, 199, 175, 34, 166, 144, 170, 153, 7, 18, 97, 19, 72, 229, 204, 61, 137, 144, 201, 95, 75, 45, 108, 2, 169, 154, 125, 248, 42, 98, 22, 86, 61, 247, 244, 93, 204, 34, 178, 110, 241, 21, 248, 203, 58, 166, 113, 229, 131, 28, 100, 23, 223, 178, 1, 75, 45, 235, 156, 210, 185, 131, 196, 160, 228, 145, 217, 119, 132, 198, 166, 225, 151, 15, 61, 199, 229, 209, 15, 46, 155, 188, 35, 17, 54, 139, 168, 93, 124, 35, 147, 180, 75, 104, 219, 132, 167, 83, 116, 207, 236, 63, 198, 224, 208, 6, 23, 143, 223, 16, 9, 153, 134, 215, 51, 165, 28, 146, 58, 118, 1, 76, 170, 62, 121, 255, 46, 240, 248, 140, 254, 86, 207, 191, 146, 130, 236, 115, 48, 179, 154, 111, 193, 200, 21, 161, 160, 105, 68, 253, 242, 39, 149, 156, 75, 122, 223, 49, 38, 151, 94, 72, 197, 236, 51, 80, 210, 62, 169, 115, 15, 133, 85, 51, 160, 120, 226, 254, 155, 184, 117, 124, 219, 54, 18, 179, 186, 95, 209, 248, 237, 87, 49, 235, 184, 182, 109, 0, 179, 134, 191, 190, 128, 132, 109, 66, 199, 30, 10, 155, 118, 80, 217, 204, 51, 41, 200, 49, 181, 247, 24, 139, 199, 16, 82, 187, 12, 67, 163, 232, 153, 11, 189, 34, 18, 177, 140, 109, 221, 65, 102, 213, 10, 42, 159, 125, 33, 151, 113, 201, 28, 60, 195, 23, 52, 143, 110, 217, 2, 176, 104, 5, 150, 207, 190, 146, 203, 186, 101, 13, 95, 18, 138, 88, 197, 183, 239, 161, 113, 234, 133, 214, 44, 127, 161, 83, 241, 45, 154, 124, 4, 74, 57, 103, 12, 158, 19, 8, 91, 198, 181, 239, 161, 115, 25, 64, 234, 215, 224, 25, 53, 192, 101, 115, 111, 148, 10, 158, 249, 99, 247, 63, 64, 78, 25, 131, 23, 132, 162, 214, 137, 221, 71, 216, 252, 166, 209, 173, 187, 168, 156, 6, 97, 245, 235, 136, 44, 218, 33, 213, 203, 176, 12, 234, 224, 242, 249, 15, 26, 101, 223, 226, 233, 23, 10, 121, 175, 130, 137, 71, 50, 89, 247, 220, 177, 251, 159, 210, 174, 217, 35, 183, 63, 64, 46, 89, 208, 155, 239, 146, 206, 153, 255, 174, 191, 73, 58, 57, 115, 246, 244, 217, 178, 160, 183, 63, 164, 92, 115, 70, 239, 129, 50, 238, 121, 227, 143, 100, 114, 158, 5, 147, 207, 148, 138, 62, 197, 179, 239, 52, 42, 1, 229, 11, 95, 24, 52, 130, 171, 87, 17, 88, 117, 33, 13, 91, 40, 92, 70, 81, 173, 251, 88, 252, 22, 9, 221, 39, 4, 98, 118, 105, 67, 215, 223, 64, 174, 185, 227, 79, 20, 138, 190, 165, 243, 48, 12, 154, 33, 181, 235, 0, 14, 195, 200, 214, 125, 108, 65, 171, 164, 254, 11, 146, 223, 46, 57, 99, 79, 20, 138, 126, 101, 139, 176, 204, 58, 144, 198, 29, 116, 62, 243, 132, 158, 51, 226, 95, 206, 57, 99, 79, 148, 202, 254, 21, 203, 8, 172, 250, 17, 173, 7, 56, 194, 182, 105, 195, 183, 64, 57, 239, 146, 249, 47, 76, 58, 144, 166, 93, 76, 65, 235, 148, 193, 155, 159, 178, 94, 240, 49, 235, 134, 181, 236, 227, 8, 219, 165, 67, 239, 201, 21, 253, 43, 86, 16, 57, 140, 99, 186, 78, 137, 126, 187, 230, 79, 189, 211, 107, 133, 54, 238, 98, 9, 217, 166, 67, 31, 40, 148, 193, 213, 235, 40, 60, 230, 137, 253, 87, 63, 100, 189, 203, 150, 16, 216, 141, 99, 187, 207, 190, 74, 121, 20, 207, 195, 178, 26, 68, 119, 158, 18, 131, 220, 139, 230, 96, 89, 12, 162, 198, 243, 122, 20, 205, 195, 177, 25, 198, 116, 159, 127, 149, 246, 42, 93, 66, 228, 52, 77, 232, 191, 6, 42, 248, 87, 173, 163, 242, 89, 165, 254, 123, 160, 84, 11, 105, 216, 197, 17, 117, 204, 153, 250, 96, 212, 139, 236, 56, 37, 145, 246, 42, 91, 6, 112, 91, 36, 15, 223, 83, 170, 134, 52, 238, 225, 138, 59, 231, 207, 194, 178, 26, 197, 245, 93, 1, 21, 193, 181, 219, 88, 34, 142, 185, 211, 48, 44, 134, 177, 189, 146, 47, 234, 148, 55, 3, 203, 102, 28, 63, 112, 75, 174, 26, 210, 120, 128, 255, 219, 189, 100, 9, 192, 99, 149, 54, 250, 66, 175, 19, 217, 117, 254, 67, 33, 160, 118, 7, 71, 204, 165, 112, 1, 129, 203, 34, 117, 228, 133, 94, 55, 170, 251, 18, 168, 20, 212, 176, 143, 255, 219, 163, 116, 5, 133, 223, 46, 123, 10, 134, 205, 36, 113, 232, 145, 70, 43, 162, 243, 252, 167, 98, 80, 195, 1, 1, 200, 171, 98, 29, 67, 216, 41, 127, 30, 145, 219, 42, 99, 252, 131, 197, 56, 97, 232, 145, 86, 59, 178, 251, 138, 76, 53, 180, 245, 228, 155, 60, 184, 126, 159, 0, 228, 93, 185, 137, 37, 230, 90, 188, 130, 42, 232, 144, 63, 143, 200, 99, 147, 53, 5, 203, 97, 158, 54, 246, 193, 98, 146, 4, 125, 97, 52, 136, 31, 124, 164, 213, 141, 233, 187, 163, 214, 138, 236, 185, 161, 208, 8, 239, 186, 36, 83, 131, 116, 92, 144, 170, 254, 109, 63, 7, 170, 132, 182, 157, 253, 84, 254, 211, 122, 250, 67, 201, 248, 84, 127, 46, 157, 109, 103, 63, 85, 66, 219, 207, 73, 85, 33, 29, 151, 100, 234, 97, 93, 87, 20, 154, 17, 61, 183, 84, 218, 209, 253, 247, 180, 122, 113, 131, 79, 12, 134, 137, 208, 55, 22, 211, 212, 113, 24, 14, 203, 204, 105, 120, 30, 219, 220, 121, 128, 128, 83, 209, 10, 186, 152, 123, 249, 38, 174, 164, 79, 237, 62, 145, 92, 96, 243, 201, 79, 21, 72, 231, 53, 165, 118, 244, 192, 35, 131, 81, 210, 232, 39, 187, 101, 214, 44, 34, 191, 99, 209, 10, 134, 184, 103, 213, 46, 161, 108, 96, 243, 41, 80, 45, 188, 231, 142, 86, 63, 1, 250, 206, 102, 145, 53, 139, 36, 224, 92, 178, 142, 45, 233, 91, 119, 244, 77, 233, 111, 231, 13, 181, 94, 60, 244, 157, 221, 50, 123, 14, 89, 200, 181, 124, 11, 95, 6, 220, 124, 70, 166, 17, 53, 240, 204, 100, 154, 62, 141, 40, 224, 92, 186, 137, 39, 29, 163, 52, 163, 7, 95, 88, 204, 51, 103, 145, 133, 221, 42, 118, 137, 228, 67, 58, 174, 169, 245, 19, 71, 191, 112, 219, 23, 174, 97, 131, 252, 155, 78, 201, 52, 99, 134, 222, 216, 173, 114, 151, 208, 37, 124, 234, 143, 127, 170, 71, 13, 188, 176, 90, 230, 44, 38, 153, 255, 3, 53, 162, 135, 222, 216, 173, 243, 150, 49, 127, 251, 53, 157, 145, 107, 199, 143, 192, 112, 59, 20, 111, 224, 203, 6, 119, 220, 208, 25, 165, 77, 3, 132, 61, 170, 15, 191, 171, 69, 14, 190, 177, 219, 20, 172, 226, 72, 7, 181, 93, 211, 26, 165, 78, 3, 68, 60, 107, 143, 129, 154, 177, 80, 24, 30, 199, 210, 109, 34, 69, 72, 239, 19, 139, 101, 222, 10, 182, 84, 80, 251, 13, 157, 73, 198, 28, 154, 132, 111, 211, 57, 149, 126, 202, 20, 64, 196, 171, 238, 132, 76, 39, 97, 28, 65, 208, 189, 230, 8, 168, 21, 63, 10, 39, 224, 86, 117, 248, 83, 51, 110, 104, 213, 169, 142, 49, 120, 65, 247, 154, 99, 82, 237, 132, 9, 68, 97, 207, 250, 83, 10, 189, 148, 105, 100, 113, 223, 166, 75, 26, 227, 140, 5, 12, 80, 96, 199, 29, 147, 69, 222, 42, 158, 252, 223, 190, 87, 14, 251, 210, 221, 175, 106, 49, 35, 176, 2, 238, 181, 39, 20, 250, 169, 179, 104, 191, 193, 237, 119, 76, 150, 249, 235, 4, 138, 225, 131, 31, 188, 46, 85, 71, 100, 186, 201, 211, 168, 191, 2, 218, 239, 152, 172, 10, 54, 137, 84, 162, 160, 176, 130, 30, 245, 103, 212, 70, 153, 75, 216, 178, 127, 251, 222, 184, 157, 43, 143, 200, 244, 82, 102, 209, 65, 193, 221, 207, 28, 14, 229, 7, 64, 157, 228, 25, 52, 201, 160, 174, 39, 118, 251, 178, 192, 219, 132, 61, 47, 156, 78, 149, 71, 228, 250, 233, 11, 216, 178, 144, 129, 79, 62, 247, 186, 115, 26, 211, 220, 53, 66, 149, 232, 81, 68, 49, 191, 182, 123, 86, 219, 210, 125, 160, 110, 234, 60, 150, 44, 100, 16, 70, 192, 179, 241, 138, 193, 178, 112, 251, 155, 102, 226, 12, 186, 212, 159, 254, 15, 62, 247, 134, 75, 122, 203, 194, 237, 239, 90, 201, 179, 152, 50, 144, 193, 47, 130, 222, 205, 183, 204, 182, 101, 7, 100, 6, 25, 203, 248, 202, 209, 99, 128, 95, 129, 221, 175, 60, 110, 245, 151, 12, 86, 197, 123, 64, 189, 244, 37, 60, 165, 34, 24, 212, 243, 206, 231, 209, 120, 195, 108, 91, 118, 68, 97, 148, 179, 78, 172, 145, 56, 139, 41, 23, 14, 69, 16, 7, 119, 191, 242, 186, 235, 101, 236, 42, 142, 169, 76, 243, 183, 190, 235, 164, 45, 226, 41, 199, 78, 162, 73, 67, 134, 225, 197, 192, 221, 111, 124, 158, 205, 119, 108, 142, 213, 103, 116, 86, 37, 7, 228, 198, 185, 155, 223, 116, 210, 150, 8, 84, 227, 103, 48, 229, 35, 199, 144, 65, 161, 67, 112, 98, 224, 158, 119, 1, 159, 182, 39, 110, 183, 198, 91, 54, 199, 154, 11, 70, 155, 242, 255, 52, 22, 197, 7, 20, 38, 249, 59, 64, 131, 236, 141, 111, 58, 233, 43, 68, 26, 201, 11, 248, 170, 9, 179, 56, 74, 177, 83, 152, 242, 81, 19, 104, 50, 17, 163, 40, 82, 97, 80, 128, 228, 223, 97, 196, 95, 127, 6, 225, 37, 130, 7, 224, 196, 130, 250, 97, 69, 3, 251, 190, 136, 128, 123, 97, 110];
/// 64 MiB of zeros.
const BOMB_BR: &[u8] = &[
    207, 255, 255, 127, 248, 39, 0, 226, 177, 64, 32, 247, 254, 159, 255, 255, 255, 240, 79, 0,
    196, 97, 1, 128, 238, 253, 63, 255, 255, 255, 225, 159, 0, 136, 195, 34, 0, 221, 251, 255, 252,
    255, 255, 199, 63, 1, 16, 135, 5, 0, 186, 247, 255,
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bare(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A gzip member with every optional part of the header (RFC 1952 section 2.3).
fn adorned(bytes: &[u8], flags: u8) -> Vec<u8> {
    let mut member = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255];
    if flags & 4 != 0 {
        member.extend_from_slice(b"\x05\0extra");
    }
    if flags & 8 != 0 {
        member.extend_from_slice(b"name\0");
    }
    if flags & 16 != 0 {
        member.extend_from_slice(b"a comment\0");
    }
    if flags & 2 != 0 {
        let mut crc = flate2::Crc::new();
        crc.update(&member);
        member.extend_from_slice(&(crc.sum() as u16).to_le_bytes());
    }
    member.extend_from_slice(&bare(bytes));
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    member.extend_from_slice(&crc.sum().to_le_bytes());
    member.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    member
}

fn with(mut bytes: Vec<u8>, at: isize, value: u8) -> Vec<u8> {
    let index = if at < 0 { bytes.len() - at.unsigned_abs() } else { at as usize };
    bytes[index] = value;
    bytes
}

fn cut(mut bytes: Vec<u8>, off: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - off);
    bytes
}

fn then(mut bytes: Vec<u8>, more: &[u8]) -> Vec<u8> {
    bytes.extend_from_slice(more);
    bytes
}

/// 256 KiB that compress a little.
fn pattern() -> Vec<u8> {
    (0_u32..1 << 18).map(|index| (index.wrapping_mul(index) >> 7) as u8).collect()
}

fn run<'a>(
    codings: &[Coding],
    limits: DecodeLimits,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(codings, limits);
    let mut out = Vec::new();
    for piece in pieces {
        let flow = decoder.push(piece, &mut |bytes| {
            out.extend_from_slice(bytes);
            ControlFlow::Continue(())
        })?;
        assert!(flow.is_continue());
    }
    decoder.finish()?;
    Ok(out)
}

/// Whole, byte by byte, cut in two everywhere, cut at random: always the same verdict.
fn check(name: &str, header: &str, bytes: &[u8], expected: &Result<Vec<u8>, DecodeError>) {
    let limits = DecodeLimits::default();
    let codings = codings([header.as_bytes()].into_iter(), &limits).expect(name);
    let same = |found: Result<Vec<u8>, DecodeError>, how: &str| {
        assert!(found == *expected, "{name} ({how}): {:?}", found.map(|bytes| bytes.len()));
    };
    same(run(&codings, limits, core::iter::once(bytes)), "whole");
    same(run(&codings, limits, bytes.chunks(1)), "byte by byte");
    for at in 0..=bytes.len().min(300) {
        same(run(&codings, limits, [&bytes[..at], &bytes[at..]].into_iter()), "in two");
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20 {
        let mut rest = bytes;
        let pieces = core::iter::from_fn(|| {
            let (piece, tail) = rest.split_at_checked(random.usize(1..=rest.len().max(1)))?;
            rest = tail;
            Some(piece)
        });
        same(run(&codings, limits, pieces), "at random");
    }
}

/// What it is, `Content-Encoding`, the bytes, the verdict.
type Row = (&'static str, &'static str, Vec<u8>, Result<Vec<u8>, DecodeError>);

#[test]
fn table() {
    use Coding::{Brotli, Deflate, Gzip};
    use DecodeError::{Corrupt, Trailing, Truncated};
    let hello = || Ok(HELLO.to_vec());
    let text = |text: &str| Ok(text.as_bytes().to_vec());
    let pattern = pattern();
    let rows: Vec<Row> = vec![
        // No coding at all.
        ("nothing", "", HELLO.to_vec(), hello()),
        ("identity", "identity", HELLO.to_vec(), hello()),
        // gzip (RFC 1952).
        ("gzip", "gzip", gzip(HELLO), hello()),
        ("its old name", "x-gzip", gzip(HELLO), hello()),
        ("names have no case", "GZip", gzip(HELLO), hello()),
        ("gzip of nothing", "gzip", gzip(b""), text("")),
        ("no byte at all is an empty body", "gzip", vec![], text("")),
        ("gzip, two members", "gzip", then(gzip(b"one "), &gzip(b"two")), text("one two")),
        (
            "gzip, members without content",
            "gzip",
            then(gzip(b""), &then(gzip(b"x"), &gzip(b""))),
            text("x"),
        ),
        ("gzip, a large body", "gzip", gzip(&pattern), Ok(pattern.clone())),
        ("gzip, extra field", "gzip", adorned(HELLO, 4), hello()),
        ("gzip, name", "gzip", adorned(HELLO, 8), hello()),
        ("gzip, comment", "gzip", adorned(HELLO, 16), hello()),
        ("gzip, header check", "gzip", adorned(HELLO, 2), hello()),
        ("gzip, text flag", "gzip", adorned(HELLO, 1), hello()),
        ("gzip, everything", "gzip", adorned(HELLO, 31), hello()),
        ("gzip, everything twice", "gzip", then(adorned(b"a", 31), &adorned(b"b", 31)), text("ab")),
        ("gzip, header check wrong", "gzip", with(adorned(b"", 2), 10, 0), Err(Corrupt(Gzip))),
        ("gzip, reserved flag", "gzip", adorned(HELLO, 32), Err(Corrupt(Gzip))),
        ("gzip, first magic byte", "gzip", with(gzip(HELLO), 0, 0x1e), Err(Corrupt(Gzip))),
        ("gzip, second magic byte", "gzip", with(gzip(HELLO), 1, 0x8c), Err(Corrupt(Gzip))),
        ("gzip, unknown method", "gzip", with(gzip(HELLO), 2, 9), Err(Corrupt(Gzip))),
        ("gzip, wrong check", "gzip", with(gzip(HELLO), -5, 0), Err(Corrupt(Gzip))),
        ("gzip, wrong length", "gzip", with(gzip(HELLO), -4, 20), Err(Corrupt(Gzip))),
        ("gzip, broken content", "gzip", with(gzip(HELLO), 10, 0xff), Err(Corrupt(Gzip))),
        ("plain text called gzip", "gzip", HELLO.to_vec(), Err(Corrupt(Gzip))),
        ("zlib called gzip", "gzip", zlib(HELLO), Err(Corrupt(Gzip))),
        ("gzip, one byte short", "gzip", cut(gzip(HELLO), 1), Err(Truncated(Gzip))),
        ("gzip without its trailer", "gzip", cut(gzip(HELLO), 8), Err(Truncated(Gzip))),
        ("gzip, cut within", "gzip", cut(gzip(HELLO), 10), Err(Truncated(Gzip))),
        ("gzip, header alone", "gzip", gzip(HELLO)[..10].to_vec(), Err(Truncated(Gzip))),
        ("gzip, one byte", "gzip", vec![0x1f], Err(Truncated(Gzip))),
        (
            "gzip, second member cut",
            "gzip",
            then(gzip(b"one"), &gzip(b"two")[..12]),
            Err(Truncated(Gzip)),
        ),
        ("gzip, garbage behind", "gzip", then(gzip(HELLO), b"x"), Err(Trailing(Gzip))),
        ("gzip, zeros behind", "gzip", then(gzip(HELLO), &[0; 8]), Err(Trailing(Gzip))),
        ("gzip, a line behind", "gzip", then(gzip(HELLO), b"\r\n"), Err(Trailing(Gzip))),
        // deflate, both forms.
        ("deflate as zlib", "deflate", zlib(HELLO), hello()),
        ("deflate, bare", "deflate", bare(HELLO), hello()),
        ("deflate, bare and stored", "deflate", stored(HELLO), hello()),
        ("deflate of nothing", "deflate", zlib(b""), text("")),
        ("deflate, bare, of nothing", "deflate", bare(b""), text("")),
        ("deflate, no byte at all", "deflate", vec![], text("")),
        ("deflate, a large body", "deflate", zlib(&pattern), Ok(pattern.clone())),
        ("deflate, bare, a large body", "deflate", bare(&pattern), Ok(pattern.clone())),
        ("deflate, wrong check", "deflate", with(zlib(HELLO), -1, 0), Err(Corrupt(Deflate))),
        ("deflate, broken content", "deflate", with(zlib(HELLO), 2, 0xff), Err(Corrupt(Deflate))),
        (
            "deflate with a dictionary",
            "deflate",
            vec![0x78, 0xbb, 0, 0, 0, 1, 3, 0],
            Err(Corrupt(Deflate)),
        ),
        ("plain text called deflate", "deflate", b"\xffplain".to_vec(), Err(Corrupt(Deflate))),
        ("deflate, one byte short", "deflate", cut(zlib(HELLO), 1), Err(Truncated(Deflate))),
        ("deflate, bare, one byte short", "deflate", cut(bare(HELLO), 1), Err(Truncated(Deflate))),
        ("deflate, one byte", "deflate", vec![0x78], Err(Truncated(Deflate))),
        ("deflate, garbage behind", "deflate", then(zlib(HELLO), b"x"), Err(Trailing(Deflate))),
        (
            "deflate, bare, garbage behind",
            "deflate",
            then(bare(HELLO), b"x"),
            Err(Trailing(Deflate)),
        ),
        (
            "deflate, a second stream",
            "deflate",
            then(zlib(HELLO), &zlib(HELLO)),
            Err(Trailing(Deflate)),
        ),
        // br (RFC 7932).
        ("br", "br", HELLO_BR.to_vec(), hello()),
        ("br of nothing", "br", EMPTY_BR.to_vec(), text("")),
        ("br, no byte at all", "br", vec![], text("")),
        ("br, a pattern", "br", PATTERN_BR.to_vec(), Ok(pattern[..4096].to_vec())),
        ("br, one byte short", "br", cut(HELLO_BR.to_vec(), 1), Err(Truncated(Brotli))),
        ("br, half", "br", cut(PATTERN_BR.to_vec(), PATTERN_BR.len() / 2), Err(Truncated(Brotli))),
        ("br, garbage behind", "br", then(HELLO_BR.to_vec(), b"x"), Err(Trailing(Brotli))),
        ("br, a second stream", "br", then(HELLO_BR.to_vec(), HELLO_BR), Err(Trailing(Brotli))),
        ("br with a large window", "br", vec![0x11, 0x1e, 0, 0, 0, 0], Err(Corrupt(Brotli))),
        ("gzip called br", "br", gzip(HELLO), Err(Corrupt(Brotli))),
        // On top of each other, undone from the last to the first.
        ("gzip in gzip", "gzip, gzip", gzip(&gzip(HELLO)), hello()),
        ("deflate, then gzip", "deflate, gzip", gzip(&zlib(HELLO)), hello()),
        ("br, then gzip", "br,gzip", gzip(HELLO_BR), hello()),
        ("in the wrong order", "gzip, deflate", gzip(&zlib(HELLO)), Err(Corrupt(Deflate))),
        ("four", "gzip,deflate,gzip,deflate", zlib(&gzip(&zlib(&gzip(HELLO)))), hello()),
        (
            "empty elements and identity between",
            " , gzip ,identity,, deflate",
            zlib(&gzip(HELLO)),
            hello(),
        ),
        ("gzip of nothing within", "gzip, gzip", gzip(&gzip(b"")), text("")),
        ("nothing within gzip", "gzip, gzip", gzip(b""), text("")),
        ("the inner one cut", "gzip, deflate", zlib(&cut(gzip(HELLO), 3)), Err(Truncated(Gzip))),
        ("the outer one cut", "gzip, deflate", cut(zlib(&gzip(HELLO)), 3), Err(Truncated(Deflate))),
        (
            "garbage behind the inner one",
            "gzip, deflate",
            zlib(&then(gzip(HELLO), b"x")),
            Err(Trailing(Gzip)),
        ),
    ];
    assert!(rows.len() >= 60);
    for (name, header, bytes, expected) in &rows {
        check(name, header, bytes, expected);
    }
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_table() {
    use Coding::Zstd;
    use DecodeError::{Corrupt, Trailing, Truncated};
    const HELLO_ZSTD: &[u8] =
        b"\x28\xb5\x2f\xfd\x04\x58\x6d\0\x008hello, \x01\0\xe2\x8a\x11u\xf3\x98\x8e";
    const EMPTY_ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x24\0\x01\0\0\x99\xe9\xd8\x51";
    const SKIPPED: &[u8] = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
    let hello = || Ok(HELLO.to_vec());
    for (name, bytes, expected) in [
        ("a frame", HELLO_ZSTD.to_vec(), hello()),
        ("nothing", EMPTY_ZSTD.to_vec(), Ok(vec![])),
        ("no byte at all", vec![], Ok(vec![])),
        ("two frames", [HELLO_ZSTD, HELLO_ZSTD].concat(), Ok([HELLO, HELLO].concat())),
        ("a skippable frame first", [SKIPPED, HELLO_ZSTD].concat(), hello()),
        (
            "a skippable frame between",
            [HELLO_ZSTD, SKIPPED, HELLO_ZSTD].concat(),
            Ok([HELLO, HELLO].concat()),
        ),
        ("one byte short", cut(HELLO_ZSTD.to_vec(), 1), Err(Truncated(Zstd))),
        ("cut within", cut(HELLO_ZSTD.to_vec(), 9), Err(Truncated(Zstd))),
        ("second frame's magic cut", [HELLO_ZSTD, &HELLO_ZSTD[..3]].concat(), Err(Truncated(Zstd))),
        ("wrong check", with(HELLO_ZSTD.to_vec(), -1, 0), Err(Corrupt(Zstd))),
        ("wrong magic", with(HELLO_ZSTD.to_vec(), 0, 0x29), Err(Corrupt(Zstd))),
        ("garbage behind", [HELLO_ZSTD, b"x"].concat(), Err(Trailing(Zstd))),
        ("garbage that begins well", [HELLO_ZSTD, b"\x28\xb5x"].concat(), Err(Trailing(Zstd))),
        // A window of 16 MiB is more than RFC 9659 lets a server ask for.
        (
            "too large a window",
            vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x70, 0x01, 0, 0],
            Err(Corrupt(Zstd)),
        ),
        ("the largest window", vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68, 0x01, 0, 0], Ok(vec![])),
    ] {
        check(name, "zstd", &bytes, &expected);
    }
}

#[test]
fn headers() {
    use Coding::{Brotli, Deflate, Gzip};
    let limits = DecodeLimits::default();
    for (values, expected) in [
        (vec![], Ok(vec![])),
        (vec![""], Ok(vec![])),
        (vec!["identity"], Ok(vec![])),
        (vec!["gzip"], Ok(vec![Gzip])),
        (vec!["gzip", "br"], Ok(vec![Brotli, Gzip])),
        (vec!["gzip, deflate", "br"], Ok(vec![Brotli, Deflate, Gzip])),
        (vec!["X-GZIP\t,\tBR"], Ok(vec![Brotli, Gzip])),
        (vec!["compress"], Err(DecodeError::Unknown("compress".into()))),
        (vec!["gzip, none"], Ok(vec![Gzip])),
        (vec!["aws-chunked"], Err(DecodeError::Unknown("aws-chunked".into()))),
        (vec!["gzip;q=1"], Err(DecodeError::Unknown("gzip;q=1".into()))),
        (vec!["\u{1b}[2J"], Err(DecodeError::Unknown("\\x1b[2J".into()))),
        (vec!["br,br,br,br"], Ok(vec![Brotli; 4])),
        (vec!["br,br,br,br,br"], Err(DecodeError::TooMany(4))),
        (vec!["br,br,br,br,identity"], Ok(vec![Brotli; 4])),
    ] {
        let found = codings(values.iter().map(|value| value.as_bytes()), &limits);
        assert_eq!(found, expected, "{values:?}");
    }
}

/// The same for what is too large to be cut everywhere.
fn check_large(name: &str, header: &str, bytes: &[u8], expected: &Result<Vec<u8>, DecodeError>) {
    let limits = DecodeLimits::default();
    let codings = codings([header.as_bytes()].into_iter(), &limits).expect(name);
    for size in [bytes.len(), 997, 1] {
        let found = run(&codings, limits, bytes.chunks(size));
        assert!(found == *expected, "{name} ({size}): {:?}", found.map(|bytes| bytes.len()));
    }
}

#[test]
fn bombs_are_defused() {
    let zeros = vec![0_u8; 8 << 20];
    let gzip_bomb = gzip(&zeros);
    let ratio = Err(DecodeError::Ratio(1_000));
    check_large("gzip bomb", "gzip", &gzip_bomb, &ratio);
    check_large("deflate bomb", "deflate", &zlib(&zeros), &ratio);
    check_large("br bomb", "br", BOMB_BR, &ratio);
    // The inner layer counts too, though nothing of it comes out.
    let many_nothings: Vec<u8> = gzip(b"").repeat(20_000);
    check_large("a bomb of empty members", "gzip, gzip", &gzip(&many_nothings)[..], &Ok(vec![]));
    let layers = gzip(&gzip(&vec![0_u8; 16 << 20]));
    check_large("a bomb in a parcel", "gzip, gzip", &layers, &ratio);

    // Below the threshold any ratio is fine: a megabyte of blanks is an ordinary page.
    let blanks = vec![b' '; 1 << 20];
    check_large("a megabyte of blanks", "gzip", &gzip(&blanks), &Ok(blanks.clone()));
}

#[test]
fn the_size_is_bounded() {
    let limits = DecodeLimits { bytes: 1_000, ..DecodeLimits::default() };
    let codings = [Coding::Gzip];
    let fits = gzip(&[7; 1_000]);
    assert_eq!(run(&codings, limits, fits.chunks(3)), Ok(vec![7; 1_000]));
    let over = gzip(&[7; 1_001]);
    assert_eq!(run(&codings, limits, over.chunks(3)), Err(DecodeError::TooLarge(1_000)));
    // What lies between two codings may be larger than what comes out.
    let tall = gzip(&then(gzip(&[7; 10]), &gzip(b"").repeat(100)));
    assert_eq!(run(&[Coding::Gzip, Coding::Gzip], limits, tall.chunks(3)), Ok(vec![7; 10]));
}

#[test]
fn a_decoder_serves_again() {
    for (coding, bytes) in [
        (Coding::Gzip, gzip(HELLO)),
        (Coding::Deflate, zlib(HELLO)),
        (Coding::Deflate, bare(HELLO)),
        (Coding::Brotli, HELLO_BR.to_vec()),
    ] {
        let mut decoder = Decoder::new(&[coding], DecodeLimits::default());
        // Left in the middle, after an error, and after the end: a restart mends all three.
        for take in [bytes.len() / 2, bytes.len(), bytes.len()] {
            let mut out = Vec::new();
            let _ = decoder.push(&bytes[..take], &mut |piece| {
                out.extend_from_slice(piece);
                ControlFlow::Continue(())
            });
            if take == bytes.len() {
                assert_eq!((decoder.finish(), out), (Ok(()), HELLO.to_vec()), "{coding:?}");
                assert_eq!(
                    decoder.push(b"x", &mut |_| ControlFlow::Continue(())),
                    Err(DecodeError::Trailing(coding))
                );
            }
            decoder.restart();
        }
        assert_eq!(decoder.finish(), Ok(()), "nothing came");
    }
}

#[test]
fn a_sink_may_have_enough() {
    let bytes = gzip(&pattern());
    let mut decoder = Decoder::new(&[Coding::Gzip], DecodeLimits::default());
    let mut calls = 0;
    let flow = decoder.push(&bytes, &mut |_| {
        calls += 1;
        if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((flow, calls), (Ok(ControlFlow::Break(())), 3));
}

/// Two codings, both broken: which one is blamed must not depend on the cuts. (The fuzzer found that it did.)
#[test]
fn the_blame_does_not_depend_on_cuts() {
    let twice = |inner: Vec<u8>| gzip(&inner);
    let rows: &[(&[Coding], Vec<u8>)] = &[
        // The outer one has a bad check, the inner one bad content, bytes behind its end, or no end.
        (&[Coding::Gzip, Coding::Gzip], with(twice(with(gzip(&pattern()), 5000, 0xff)), -8, 0)),
        (&[Coding::Gzip, Coding::Deflate], then(twice(then(zlib(HELLO), b"x")), b"y")),
        (&[Coding::Gzip, Coding::Brotli], cut(twice(cut(HELLO_BR.to_vec(), 1)), 1)),
        (&[Coding::Deflate, Coding::Gzip], with(zlib(&with(gzip(HELLO), 1, 0)), -1, 0)),
        (&[Coding::Brotli, Coding::Gzip], then(HELLO_BR.to_vec(), b"z")),
    ];
    for (codings, body) in rows {
        let limits = DecodeLimits::default();
        let whole = run(codings, limits, core::iter::once(&body[..]));
        assert!(whole.is_err(), "{codings:?}");
        for size in [1, 2, 3, 5, 8, 13, 100, 1000] {
            assert_eq!(run(codings, limits, body.chunks(size)), whole, "{codings:?} by {size}");
        }
    }
}

/// A limit is hit at the same byte, and before or after a fault, however the body is cut.
#[test]
fn limits_are_hit_alike_however_the_body_is_cut() {
    let bomb = gzip(&vec![0; 3 << 20]);
    let broken = with(bomb.clone(), -5, 0xff);
    let mut verdicts = std::collections::BTreeSet::new();
    for body in [&bomb, &broken] {
        for ratio in [1000, 1020, 1028, 1029, 1030, 1031, 1032, 1040] {
            for bytes in [(3 << 20) - 1, 3 << 20] {
                let limits = DecodeLimits { ratio, bytes, ..DecodeLimits::default() };
                let whole = run(&[Coding::Gzip], limits, core::iter::once(&body[..]));
                for size in [1, 7, 64, 1000] {
                    let cut = run(&[Coding::Gzip], limits, body.chunks(size));
                    assert!(cut == whole, "ratio {ratio}, by {size}");
                }
                verdicts.insert(whole.map_or_else(|error| error.name(), |_| "fine"));
            }
        }
    }
    let all = ["coding_corrupt", "coding_ratio", "decoded_too_large", "fine"];
    assert!(verdicts.iter().eq(&all), "{verdicts:?}");
}

/// What was decoded before a fault is handed on.
#[test]
fn what_came_before_bytes_behind_the_end_is_handed_on() {
    for (coding, body) in [
        (Coding::Gzip, gzip(HELLO)),
        (Coding::Deflate, zlib(HELLO)),
        (Coding::Deflate, bare(HELLO)),
        (Coding::Brotli, HELLO_BR.to_vec()),
    ] {
        let mut out = Vec::new();
        let mut decoder = Decoder::new(&[coding], DecodeLimits::default());
        let result = decoder.push(&then(body, b"surplus"), &mut |bytes| {
            out.extend_from_slice(bytes);
            ControlFlow::Continue(())
        });
        assert_eq!((result.err(), &out[..]), (Some(DecodeError::Trailing(coding)), HELLO));
    }
}
