/* JSON as msgspec writes it. Whoever calls has made room. */

#ifndef AJIL_JSON_H
#define AJIL_JSON_H

#include "text.h"

enum { CODE_JSON = 6 }; /* bytes that `write_code` writes at most */

INLINE char *write_text(char *out, const char *text) {
    while (*text != '\0') *out++ = *text++;
    return out;
}

/* A character of a string; what is no character becomes U+FFFD. */
INLINE char *write_code(char *out, uint32_t code) {
    static const char DIGITS[] = "0123456789abcdef";
    if (code < 0x20 || code == '"' || code == '\\') {
        out = write_text(out, "\\u00");
        *out++ = DIGITS[code >> 4];
        *out++ = DIGITS[code & 15];
    } else if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
        *out++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000 || code > 0x10FFFF) {
        if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
        *out++ = (char)(0xE0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    } else {
        *out++ = (char)(0xF0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 63));
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    }
    return out;
}

INLINE char *write_whole(char *out, uint32_t number) {
    char digits[10];
    int size = 0;
    do digits[size++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (size > 0) *out++ = digits[--size];
    return out;
}

/* number / 2 */
INLINE char *write_halves(char *out, uint32_t number) {
    out = write_whole(out, number / 2);
    return write_text(out, number % 2 ? ".5" : ".0");
}

/* number / 1e6, of a number up to 1e6 */
INLINE char *write_millionths(char *out, uint32_t number) {
    if (number > 0 && number < 10) return write_text(write_whole(out, number), "e-6");
    if (number == 0 || number >= 1000000) return write_text(out, number == 0 ? "0.0" : "1.0");
    out = write_text(out, "0.");
    for (int i = 5; i >= 0; i--, number /= 10) out[i] = (char)('0' + number % 10);
    out += 6;
    while (out[-1] == '0') out--;
    return out;
}

#endif
