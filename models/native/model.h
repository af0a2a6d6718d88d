/* A linear model: its arrays (models/arrays.py), and how its words are found. */

#ifndef AJIL_MODEL_H
#define AJIL_MODEL_H

#include "hash.h"
#include "text.h"

#include <string.h>

enum { DELETED = 0, SPACE = 1, SAME = 2 };
static const uint32_t DIGIT = 1u << 31, NONE = 0xFFFFFFFFu;

enum { WORD_CHARS = 32, PREFIX = 3, HASHED = WORD_CHARS + PREFIX, ZEROS = 5, LOGS = 1024 };
enum { PAGE_INDEX, PAGES, WORDS, WORD_SLOTS, PAIR_SLOTS, ROWS, INTERCEPT, SECTIONS };

typedef struct {
    uint32_t left, right;
    double idf;
    float weight[];
} Row;

typedef struct {
    PyObject_HEAD
    Py_buffer section[SECTIONS];
    const uint16_t *page_index;
    const uint32_t *pages, *words;
    const uint64_t *word_slots, *pair_slots;
    const char *rows;
    const double *intercept;
    uint64_t word_mask, pair_mask;
    size_t page_count, word_size, terms, stride, classes, longest;
    double log_plus_one[LOGS], log_half[LOGS]; /* 1 + log(i), log(i / 2) */
    uint64_t powers[HASHED + 1], inverses[PREFIX + 1]; /* BASE to the i, and to the minus i */
} Model;

typedef struct {
    uint64_t hash;
    uint32_t start, end; /* in the text */
    uint32_t letter, length; /* of the stem, in `letters` of the scratch */
    uint32_t number; /* in the model, NONE where it does not know the word */
    uint64_t slot, tried;
} Word;

PyObject *score(Model *model, PyObject *args);
PyObject *key_terms(Model *model, PyObject *args);

/* The sum of hash_of over part of a word, of whose first letters `sums` has the sums, that over none first: a loop over
   the letters would end where nobody expects it. */
INLINE uint64_t sum_of_part(const Model *model, const uint64_t *sums, size_t start, size_t length) {
    return (sums[start + length] - sums[start]) * model->inverses[start];
}

INLINE const Row *row_at(const Model *model, uint32_t row) {
    return (const Row *)(model->rows + (size_t)row * model->stride);
}

/* The folded characters of the code points that share all but their lowest eight bits; NULL if there are none. */
INLINE const uint32_t *page_of(const Model *model, uint32_t code) {
    size_t page = model->page_index[(code >> 8) % 0x1100];
    return page < model->page_count ? model->pages + (page << 8) : NULL;
}

/* The pages that most code points are in. */
typedef struct {
    const uint32_t *latin, *arabic;
} Pages;

INLINE Pages pages_of(const Model *model) { return (Pages){page_of(model, 0), page_of(model, 0x600)}; }

INLINE uint32_t fold(const Model *model, Pages pages, uint32_t code) {
    const uint32_t *page = code < 0x100 ? pages.latin : code >> 8 == 6 ? pages.arabic : page_of(model, code);
    uint32_t folded = page != NULL ? page[code & 255] : SPACE;
    return folded == SAME ? code : folded;
}

/* The entry of the next slot with this tag, NONE when there is none: what it stands for is not compared yet, so that
   much can be on its way from memory at once. */
INLINE uint32_t next_entry(const uint64_t *slots, uint64_t mask, uint64_t hash, uint64_t *slot, uint64_t *tried) {
    while ((*tried)++ <= mask) {
        uint64_t entry = slots[*slot];
        *slot = (*slot + 1) & mask;
        if ((uint32_t)entry == 0) return NONE;
        if (entry >> 32 == hash >> 32) return (uint32_t)entry - 1;
    }
    return NONE;
}

INLINE uint32_t next_word(const Model *model, Word *word) {
    return next_entry(model->word_slots, model->word_mask, word->hash, &word->slot, &word->tried);
}

/* The letters of the word with this number, NULL where it has another length. */
INLINE const uint32_t *letters_of(const Model *model, uint32_t number, size_t length) {
    if (number >= model->word_size - 2) return NULL;
    const uint32_t *known = model->words + number;
    return known[1] == length && length <= model->word_size - 2 - number ? known + 2 : NULL;
}

INLINE int is_word(const Model *model, uint32_t number, const uint32_t *letters, size_t length) {
    const uint32_t *known = letters_of(model, number, length);
    return known != NULL && memcmp(known, letters, length * sizeof(uint32_t)) == 0;
}

#endif
