/* models.keyterms.key_terms, which the names and numbers below are from. What is read of an article is bounded before
   anything is allocated. The interpreter's lock is kept: it is held for less time than taking it back may need. */

#include "stem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TITLE = 25, LEAD = 40, READ = 200, TITLE_READ = 100, LONGEST = 6000, SPELLING = 40, ENDING = 3 };
static const double NAME = 1.5, RAREST = 1e-5, NUMBERS[ZEROS] = {0.2, 0.03, 0.005, 0.03, 0.001};

typedef struct {
    const uint32_t *letters; /* of the term */
    uint32_t length, start, end; /* start and end in the text */
    uint8_t in_body, capital, number, marker;
} Written;

typedef struct {
    uint64_t hash;
    const Written *first;
    double count, share, weight;
    int common;
} Key;

typedef struct {
    Text text[2]; /* title, body */
    uint32_t *letters;
    Written *written;
    Key *keys;
    uint32_t *seen;
} Reading;

INLINE int is_ascii(const uint32_t *word, size_t length) {
    uint32_t all = 0;
    for (size_t i = 0; i < length; i++) all |= word[i];
    return all < 128;
}

INLINE int is_same(const uint32_t *word, size_t length, const char *ascii, size_t size) {
    if (length != size) return 0;
    for (size_t i = 0; i < size; i++)
        if (word[i] != (uint32_t)(unsigned char)ascii[i]) return 0;
    return 1;
}

INLINE int ends_with(const uint32_t *word, size_t length, const char *ending, size_t size) {
    return length >= size && is_same(word + length - size, size, ending, size);
}

/* models.keyterms._english, in place; returns the new length. */
static size_t english(uint32_t *word, size_t length) {
    if (length <= 3) return length;
    if (ends_with(word, length, "ies", 3)) {
        word[length - 3] = 'y';
        return length - 2;
    }
    if (ends_with(word, length, "es", 2) && length > 5) return length - 2;
    if (ends_with(word, length, "s", 1) && !ends_with(word, length, "ss", 2)) return length - 1;
    if (ends_with(word, length, "ing", 3) && length > 6) return length - 3;
    if (ends_with(word, length, "ed", 2) && length > 5) return length - 2;
    return length;
}

static int is_marker(const uint32_t *word, size_t length) {
    static const uint32_t URGENT[4] = {0x639, 0x627, 0x62C, 0x644};
    return (length == 4 && memcmp(word, URGENT, sizeof URGENT) == 0) || is_same(word, length, "breaking", 8) ||
           is_same(word, length, "urgent", 6);
}

/* Whether an address, https?://\S+, begins here. */
static int is_address(Text text, size_t i) {
    static const char BEGIN[] = "http", REST[] = "://";
    for (size_t j = 0; j < 4; j++, i++)
        if (i >= text.length || read_at(text.data, text.kind, i) != (uint32_t)BEGIN[j]) return 0;
    if (i < text.length && read_at(text.data, text.kind, i) == 's') i++;
    for (size_t j = 0; j < 3; j++, i++)
        if (i >= text.length || read_at(text.data, text.kind, i) != (uint32_t)REST[j]) return 0;
    return i < text.length && !Py_UNICODE_ISSPACE(read_at(text.data, text.kind, i));
}

/* Whether so many bits are set, the lowest first. */
INLINE int are_set(uint32_t bits, size_t many) {
    uint32_t all = many < 32 ? (1u << many) - 1 : 0xFFFFFFFFu;
    return (bits & all) == all;
}

/* The words of the title or the body, as far as `most` words between spaces go. `letters` is moved on, by at most one
   for each code point; each word written ends with a code point of its own, or with the text. */
static size_t read_words(const Model *model, Text text, int in_body, size_t most, uint32_t **letters, Written *written) {
    uint32_t *first = *letters, digits = 0;
    size_t found = 0, size = 0, spaced = 0;
    int inside = 0;
    Written word = {0};
    for (size_t i = 0; spaced < most && i <= text.length; i++) {
        uint32_t code = i < text.length ? read_at(text.data, text.kind, i) : ' ', folded = SPACE;
        size_t end = i;
        if (Py_UNICODE_ISSPACE(code)) {
            spaced += (size_t)inside;
            inside = 0;
        } else {
            inside = 1;
            if (code == 'h' && is_address(text, i)) {
                while (i + 1 < text.length && !Py_UNICODE_ISSPACE(read_at(text.data, text.kind, i + 1))) i++;
            } else {
                folded = fold(page_of(model, code), code);
            }
        }
        if (folded > SAME) {
            if (size == 0) word = (Written){.start = (uint32_t)i, .capital = Py_UNICODE_ISUPPER(code) != 0};
            if (size < WORD_CHARS) {
                digits |= (uint32_t)((folded & DIGIT) != 0) << size;
                first[size] = folded & ~DIGIT;
            }
            size++;
        } else if (folded == SPACE && size > 0) {
            size_t length = size < WORD_CHARS ? size : WORD_CHARS;
            uint32_t *term = first, *next = first + length;
            word.end = (uint32_t)end;
            word.in_body = (uint8_t)in_body;
            word.marker = (uint8_t)is_marker(first, size);
            if (!are_set(digits, length)) {
                length = is_ascii(term, length) ? english(term, length) : stem(&term, length, 0);
            }
            word.number = (uint8_t)are_set(digits >> (term - first), length);
            first = next;
            word.letters = term;
            word.length = (uint32_t)length;
            written[found++] = word;
            size = 0;
            digits = 0;
        }
    }
    *letters = first;
    return found;
}

/* The share of documents that have exactly this word, 0 where the model does not count it. */
static double share_of_word(const Model *model, const uint32_t *letters, size_t length) {
    uint64_t hash = hash_of(letters, length);
    Word word = {hash, 0, 0, 0, 0, NONE, hash & model->word_mask, 0};
    do word.number = next_word(model, &word);
    while (word.number != NONE && !is_word(model, word.number, letters, length));
    uint32_t row = word.number != NONE ? model->words[word.number] : NONE;
    double share = row < model->terms ? exp(1 - row_at(model, row)->idf) : 0;
    return share < 1 ? share : 1;
}

/* models.keyterms.share_terms: a Latin term has the shares of the words that `english` makes it of, added in the order
   of the alphabet; any other its own, if it is a whole stem. */
static double share_of(const Model *model, const uint32_t *letters, size_t length) {
    static const char *const ENDINGS[] = {"ies", "", "ed", "es", "ing", "s"};
    uint32_t word[WORD_CHARS + ENDING], back[WORD_CHARS + ENDING], *stemmed = back;
    double sum = 0;
    if (length > WORD_CHARS) return 0;
    if (!is_ascii(letters, length)) {
        memcpy(back, letters, length * sizeof(uint32_t));
        return stem(&stemmed, length, 0) == length ? share_of_word(model, letters, length) : 0;
    }
    for (int i = 0; i < 6; i++) {
        size_t size = length - (i == 0); /* y becomes ies */
        memcpy(word, letters, size * sizeof(uint32_t));
        for (const char *letter = ENDINGS[i]; *letter != '\0'; letter++) word[size++] = (uint32_t)*letter;
        memcpy(back, word, size * sizeof(uint32_t));
        if (english(back, size) != length || memcmp(back, letters, length * sizeof(uint32_t)) != 0) continue;
        sum += share_of_word(model, word, size);
        if (!(sum < 1)) sum = 1;
    }
    return sum;
}

/* Sum up the words; returns the number of keys. `mask` is that of `seen`, which has room for twice the words. */
static size_t find_keys(const Reading *reading, size_t words, size_t mask) {
    size_t keys = 0, head = 0;
    while (head < words && !reading->written[head].in_body) head++;
    if (head == 0) head = words < TITLE ? words : TITLE;
    for (size_t i = 0; i < words; i++) {
        const Written *word = &reading->written[i];
        if (word->marker || (word->length == 1 && !word->number)) continue;
        uint64_t hash = hash_of(word->letters, word->length);
        size_t slot = hash & mask;
        Key *key = NULL;
        for (; reading->seen[slot] != 0; slot = (slot + 1) & mask) {
            Key *other = &reading->keys[reading->seen[slot] - 1];
            if (other->hash == hash && other->first->length == word->length &&
                memcmp(other->first->letters, word->letters, word->length * sizeof(uint32_t)) == 0) {
                key = other;
                break;
            }
        }
        if (key == NULL) {
            key = &reading->keys[keys++];
            reading->seen[slot] = (uint32_t)keys;
            *key = (Key){.hash = hash, .first = word};
        }
        key->count += i < head ? 3 : i < head + LEAD ? 2 : 1;
        key->common |= !word->capital;
    }
    return keys;
}

static void weigh(const Model *model, Key *key, int known) {
    static const uint32_t ZERO[ZEROS] = {'0', '0', '0', '0', '0'};
    const Written *word = key->first;
    key->share = known ? share_of(model, word->letters, word->length) : 0;
    if (known && word->number && key->share == 0) {
        size_t length = word->length < ZEROS ? word->length : ZEROS;
        key->share = share_of(model, ZERO, length) * NUMBERS[length - 1];
    }
    if (word->number || !key->common) key->count *= NAME;
    key->weight = (1 + log(key->count)) * log(key->share > 0 ? key->share : RAREST);
}

/* Those that say most first: the rarer a term, the lower its logarithm. */
static int compare(const void *left, const void *right) {
    const Key *a = left, *b = right;
    if (a->weight != b->weight) return a->weight < b->weight ? -1 : 1;
    size_t length = a->first->length < b->first->length ? a->first->length : b->first->length;
    for (size_t i = 0; i < length; i++)
        if (a->first->letters[i] != b->first->letters[i]) return a->first->letters[i] < b->first->letters[i] ? -1 : 1;
    return (a->first->length > b->first->length) - (a->first->length < b->first->length);
}

/* The term, its spelling without what folding deletes, its frequency and its share. */
static PyObject *key_term(const Model *model, const Reading *reading, const Key *key) {
    const Written *word = key->first;
    uint32_t term[WORD_CHARS], spelling[SPELLING];
    size_t length = 0;
    for (size_t i = 0; i < word->length; i++) term[i] = word->letters[i] < 0x110000 ? word->letters[i] : 0xFFFD;
    Text text = reading->text[word->in_body];
    for (size_t i = word->start; i < word->end && length < SPELLING; i++) {
        uint32_t code = read_at(text.data, text.kind, i);
        if (fold(page_of(model, code), code) != DELETED) spelling[length++] = code;
    }
    return Py_BuildValue("(NNdd)", PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, term, (Py_ssize_t)word->length),
                         PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, spelling, (Py_ssize_t)length), key->count,
                         floor(key->share * 1e6 + 0.5) / 1e6);
}

PyObject *key_terms(Model *model, PyObject *args) {
    PyObject *title, *body, *result = NULL;
    Py_ssize_t most;
    int known;
    if (!PyArg_ParseTuple(args, "OOnp", &title, &body, &most, &known)) return NULL;
    Reading reading = {0};
    size_t longest = model->longest < LONGEST ? model->longest : LONGEST;
    if (text_of(title, longest, &reading.text[0]) < 0 || text_of(body, longest, &reading.text[1]) < 0) return NULL;
    size_t codes = reading.text[0].length + reading.text[1].length, most_words = codes / 2 + 2, slots = 8;
    while (slots < 2 * most_words) slots *= 2;
    reading.letters = PyMem_Malloc((codes + 1) * sizeof(uint32_t));
    reading.written = PyMem_Malloc(most_words * sizeof(Written));
    reading.keys = PyMem_Malloc(most_words * sizeof(Key));
    reading.seen = PyMem_Calloc(slots, sizeof(uint32_t));
    if (reading.letters == NULL || reading.written == NULL || reading.keys == NULL || reading.seen == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    uint32_t *letters = reading.letters;
    size_t words = read_words(model, reading.text[0], 0, TITLE_READ, &letters, reading.written);
    words += read_words(model, reading.text[1], 1, READ, &letters, reading.written + words);
    size_t keys = find_keys(&reading, words, slots - 1);
    for (size_t i = 0; i < keys; i++) weigh(model, &reading.keys[i], known);
    qsort(reading.keys, keys, sizeof(Key), compare);
    if (most < 0) most = 0;
    keys = keys < (size_t)most ? keys : (size_t)most;
    result = PyList_New((Py_ssize_t)keys);
    for (size_t i = 0; result != NULL && i < keys; i++) {
        PyObject *term = key_term(model, &reading, &reading.keys[i]);
        if (term == NULL) Py_CLEAR(result);
        else PyList_SET_ITEM(result, (Py_ssize_t)i, term);
    }
done:
    PyMem_Free(reading.letters);
    PyMem_Free(reading.written);
    PyMem_Free(reading.keys);
    PyMem_Free(reading.seen);
    return result;
}
