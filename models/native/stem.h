/* models.text.stem */

#ifndef AJIL_STEM_H
#define AJIL_STEM_H

#include "model.h"

enum {
    ALEF = 0x627, HEH = 0x647, TEH = 0x62A, BEH = 0x628, KAF = 0x643, FEH = 0x641,
    LAM = 0x644, NOON = 0x646, WAW = 0x648, YEH = 0x64A
};

/* وال بال كال فال ولل ال لل, or و alone: how much of the word is a prefix. */
INLINE size_t prefix_of(const uint32_t *word, size_t length) {
    uint32_t first = word[0];
    if (length >= 6) {
        int joined = first == WAW || first == BEH || first == KAF || first == FEH;
        if (joined && word[1] == ALEF && word[2] == LAM) return 3;
        if (first == WAW && word[1] == LAM && word[2] == LAM) return 3;
    }
    if (length < 5) return 0;
    return word[1] == LAM && (first == ALEF || first == LAM) ? 2 : first == WAW;
}

static const uint32_t SUFFIXES[8][3] = {
    {2, HEH, ALEF}, {2, ALEF, NOON}, {2, ALEF, TEH}, {2, WAW, NOON}, {2, YEH, NOON}, {2, YEH, HEH}, {1, HEH, 0}, {1, YEH, 0},
};

INLINE size_t without_suffixes(const uint32_t *word, size_t length) {
    uint32_t last = word[length - 1];
    if (last != HEH && last != YEH && last != NOON && last != ALEF && last != TEH) return length;
    for (int i = 0; i < 8; i++) {
        const uint32_t *suffix = SUFFIXES[i];
        size_t size = suffix[0];
        if (length < size + 3 || word[length - size] != suffix[1]) continue;
        if (size == 1 || word[length - 1] == suffix[2]) length -= size;
    }
    return length;
}

INLINE int is_plural(const uint32_t *word, size_t length) {
    if (length <= 3 || word[length - 1] != 's') return 0;
    uint32_t before = word[length - 2];
    return before != 's' && before != 'u' && before != 'i';
}

/* In place; returns the new length and moves *word past a prefix. */
INLINE size_t stem(uint32_t **word, size_t length, int digits) {
    if (digits) {
        length = length < ZEROS ? length : ZEROS;
        for (size_t i = 0; i < length; i++) (*word)[i] = '0';
        return length;
    }
    if ((*word)[0] >= 0x620 && (*word)[0] <= 0x6FF) {
        size_t prefix = prefix_of(*word, length);
        *word += prefix;
        length = without_suffixes(*word, length - prefix);
    } else if (is_plural(*word, length)) {
        length--;
    }
    return length < WORD_CHARS ? length : WORD_CHARS;
}

#endif
