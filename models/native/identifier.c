/* models.identifier.Python, which what is below is named after: the script of a text, and naive Bayes over n-grams of
   bytes. The interpreter's lock is kept: it is held for less time than taking it back may need. */

#include "hash.h"
#include "text.h"
#include "types.h"

#include <math.h>
#include <string.h>

enum { PAGE_INDEX, PAGES, EDGES, FAILS, PRIOR, WEIGHTS, SECTIONS };
enum { LANGUAGES = 32, BLOCK = 0x600, LETTERS = 256, WORDS = 256, MOST = 7 };
static const double FOREIGN = 0.03, FREQUENT = 0.1, UNIT = 256;
static const uint8_t AS_ARABIC = 1 << 7;

typedef struct {
    PyObject_HEAD
    Py_buffer section[SECTIONS];
    const uint16_t *page_index, *fails;
    const uint8_t *pages;
    const uint64_t *edges;
    const double *prior;
    const int16_t (*weights)[LANGUAGES];
    size_t page_count, slots, rows, languages, ngrams;
    int shift; /* of a label's hash */
    size_t most_letters, most_codes;
    int arabic, with_letters, with_words; /* numbers of a script; of languages known by letters, and by words too */
    uint8_t letters[LETTERS], known[WORDS];
    uint64_t words[WORDS];
} Identifier;

/* The script of a code point, 0 for what is no letter. */
INLINE uint8_t script_of(const Identifier *self, uint32_t code) {
    size_t page = self->page_index[(code >> 8) % 0x1100];
    return page < self->page_count ? self->pages[page << 8 | (code & 255)] : 0;
}

/* What is known of a word, of which each letter is a byte; 0 for any other. */
INLINE uint8_t known_of(const Identifier *self, uint64_t word) {
    size_t slot = word * BASE >> 56;
    for (size_t tried = 0; word != 0 && tried < WORDS; tried++, slot = (slot + 1) % WORDS) {
        if (self->words[slot] == word) return self->known[slot];
        if (self->words[slot] == 0) break;
    }
    return 0;
}

/* The first language of which enough frequent words are in the text, -1 for none. */
INLINE int by_words(const Identifier *self, const void *data, int kind, size_t length) {
    size_t words = 0, found[MOST] = {0}, sure[MOST] = {0};
    int others = self->with_words - self->with_letters, shift = 0; /* of the next letter, over 56 for a longer word */
    uint64_t word = 0, outside = 0;
    for (size_t i = 0; i <= length; i++) {
        uint32_t code = i < length ? read_at(data, kind, i) : ' ';
        if (code - BLOCK - 1 < 255) { /* a byte that is not 0 */
            if (code == 0x6A9) code = 0x643; /* kaf and ya as an Arabic keyboard types them */
            if (code == 0x6CC) code = 0x64A;
            if (shift < 64) word |= (uint64_t)(code - BLOCK) << shift;
            shift += 8;
            continue;
        }
        if (!is_space(code)) {
            outside = 1;
            continue;
        }
        if (shift == 0 && !outside) continue;
        uint8_t known = shift <= 64 && !outside ? known_of(self, word) : 0;
        for (int other = 0; known != 0 && other < others; other++) {
            size_t has = known >> other & 1;
            found[other] += has;
            sure[other] += has && !(known & AS_ARABIC);
        }
        words++;
        word = outside = 0;
        shift = 0;
    }
    for (int other = 0; other < others; other++)
        if (sure[other] > 0 && (double)found[other] > FREQUENT * (double)words) return self->with_letters + other;
    return -1;
}

/* Returns how many letters were counted. */
INLINE size_t read_letters(const Identifier *self, const void *data, int kind, size_t length, int *script, int *place) {
    uint32_t counts[256] = {0}, foreign[MOST] = {0}, first[256], best = 0;
    size_t letters = 0, most_letters = self->most_letters;
    int scripts = 0; /* in the order in which they come, `first` */
    for (size_t i = 0; i < length && letters < most_letters; i++) {
        uint32_t code = read_at(data, kind, i);
        uint8_t number = script_of(self, code);
        if (number == 0) continue;
        letters++;
        if (counts[number]++ == 0) first[scripts++] = number;
        if (code - BLOCK < LETTERS && self->letters[code - BLOCK] != 0)
            for (int j = 0; j < self->with_letters; j++) foreign[j] += self->letters[code - BLOCK] >> j & 1;
    }
    for (int i = 0; i < scripts; i++)
        if (counts[first[i]] > counts[best]) best = first[i];
    *script = (int)best;
    *place = -1;
    if (letters > 0 && *script == self->arabic) {
        int most = 0;
        for (int i = 1; i < self->with_letters; i++)
            if (foreign[i] > foreign[most]) most = i;
        int sure = (double)foreign[most] / (double)letters > FOREIGN;
        *place = sure ? most : by_words(self, data, kind, length);
    }
    return letters;
}

static PyObject *read_text(Identifier *self, PyObject *object) {
    Text text;
    int script, place;
    size_t letters;
    if (text_of(object, self->most_codes, &text) < 0) return NULL;
    /* One copy of the loops for each width of character. */
    if (text.kind == 1) letters = read_letters(self, text.data, 1, text.length, &script, &place);
    else if (text.kind == 2) letters = read_letters(self, text.data, 2, text.length, &script, &place);
    else letters = read_letters(self, text.data, 4, text.length, &script, &place);
    return Py_BuildValue("(nii)", (Py_ssize_t)letters, script, place);
}

/* The edge of a row for a byte, 0 where there is none. */
INLINE uint64_t edge_of(const Identifier *self, uint32_t row, uint8_t byte) {
    uint64_t label = (uint64_t)row << 8 | byte;
    size_t slot = label * BASE >> self->shift;
    for (size_t tried = 0; tried < self->slots; tried++, slot = (slot + 1) & (self->slots - 1)) {
        uint64_t edge = self->edges[slot];
        if (edge == 0 || edge >> 40 == label) return edge;
    }
    return 0;
}

/* Those of an n-gram, which is numbered from 1 on. */
INLINE const int16_t *weights_of(const Identifier *self, uint32_t ngram) {
    return self->weights[ngram < self->ngrams ? ngram - 1 : self->ngrams - 1];
}

typedef struct {
    uint32_t ngram, count;
} Counted;

/* The distinct n-grams of a text and how often each is there; `seen` has mask + 1 places, at least twice the bytes. */
static size_t find_ngrams(const Identifier *self, const uint8_t *text, size_t length, Counted *found, uint32_t *seen,
                          size_t mask) {
    size_t distinct = 0;
    uint32_t row = 0;
    for (size_t i = 0; i < length; i++) {
        uint64_t edge;
        while ((edge = edge_of(self, row, text[i])) == 0 && row > 0) {
            uint32_t shorter = self->fails[row];
            row = shorter < row ? shorter : 0;
        }
        uint32_t next = (uint32_t)(edge >> 24 & 0xFFFF), ngram = (uint32_t)(edge & 0xFFFFFF);
        row = next < self->rows ? next : 0;
        if (ngram == 0) continue;
        size_t slot = ngram * 2654435761u >> 7 & mask;
        while (seen[slot] != 0 && found[seen[slot] - 1].ngram != ngram) slot = (slot + 1) & mask;
        if (seen[slot] != 0) {
            found[seen[slot] - 1].count++;
        } else {
            FETCH(weights_of(self, ngram));
            found[distinct++] = (Counted){ngram, 1};
            seen[slot] = (uint32_t)distinct;
        }
    }
    return distinct;
}

/* Logarithms of the languages' probabilities but for a constant. Most n-grams come once: these are added up whole. */
static void add_up(const Identifier *self, const Counted *found, size_t distinct, double *scores) {
    int32_t once[LANGUAGES] = {0};
    double sums[LANGUAGES] = {0};
    for (size_t i = 0; i < distinct; i++) {
        const int16_t *weight = weights_of(self, found[i].ngram);
        if (found[i].count == 1) {
            for (int j = 0; j < LANGUAGES; j++) once[j] += weight[j];
        } else {
            double often = log1p((double)found[i].count);
            for (int j = 0; j < LANGUAGES; j++) sums[j] += often * weight[j];
        }
    }
    for (size_t j = 0; j < self->languages; j++)
        scores[j] = distinct > 0 ? (log1p(1) * once[j] + sums[j]) / UNIT + self->prior[j] : 0;
}

static PyObject *probabilities(Identifier *self, PyObject *object) {
    char *text;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(object, &text, &length) < 0) return NULL;
    if (length > 1 << 28) {
        PyErr_SetString(PyExc_ValueError, "a text to identify has at most 256 MB");
        return NULL;
    }
    size_t places = 8;
    while (places < 2 * (size_t)length) places *= 2;
    Counted *found = PyMem_Malloc(((size_t)length + 1) * sizeof(Counted));
    uint32_t *seen = PyMem_Calloc(places, sizeof(uint32_t));
    PyObject *result = NULL;
    if (found == NULL || seen == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    size_t distinct = find_ngrams(self, (const uint8_t *)text, (size_t)length, found, seen, places - 1);
    double scores[LANGUAGES], best = -INFINITY, sum = 0;
    add_up(self, found, distinct, scores);
    for (size_t j = 0; j < self->languages; j++) {
        scores[j] /= sqrt(length > 0 ? (double)length : 1); /* py3langid's temperature */
        if (scores[j] > best) best = scores[j];
    }
    for (size_t j = 0; j < self->languages; j++) sum += scores[j] = exp(scores[j] - best);
    result = PyList_New((Py_ssize_t)self->languages);
    for (size_t j = 0; result != NULL && j < self->languages; j++) {
        PyObject *probability = PyFloat_FromDouble(scores[j] / sum);
        if (probability == NULL) Py_CLEAR(result);
        else PyList_SET_ITEM(result, (Py_ssize_t)j, probability);
    }
done:
    PyMem_Free(found);
    PyMem_Free(seen);
    return result;
}

static size_t items(const Identifier *self, int section, size_t size) {
    return (size_t)self->section[section].len / size;
}

static int fits(const Identifier *self, Py_ssize_t letters, Py_ssize_t words, Py_ssize_t known) {
    int aligned = 1;
    for (int i = 0; i < SECTIONS; i++) aligned &= (uintptr_t)self->section[i].buf % 8 == 0;
    return aligned && letters == LETTERS && words == WORDS * 8 && known == WORDS && self->most_letters > 0 &&
           self->most_letters < 1 << 20 && self->most_codes > 0 && self->most_codes < 1 << 20 && self->with_letters > 0 && self->with_letters <= MOST &&
           self->with_words >= self->with_letters && self->with_words - self->with_letters <= MOST &&
           items(self, PAGE_INDEX, 2) == 0x1100 && self->section[PAGES].len % 256 == 0 &&
           is_power_of_two(self->slots) && self->slots > 1 && self->rows > 0 && self->languages > 0 &&
           self->languages <= LANGUAGES && self->ngrams > 0;
}

static PyObject *new_identifier(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    Identifier *self = (Identifier *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    Py_buffer *s = self->section, tables[3] = {{0}};
    if (keywords != NULL && PyDict_GET_SIZE(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "Identifier takes no keyword arguments");
        goto failed;
    }
    if (!PyArg_ParseTuple(args, "nniiiy*y*y*y*y*y*y*y*y*", &self->most_letters, &self->most_codes, &self->arabic,
                          &self->with_letters, &self->with_words, &tables[0], &tables[1], &tables[2], &s[0], &s[1],
                          &s[2], &s[3], &s[4], &s[5])) {
        memset(s, 0, sizeof self->section); /* a failed parse has released what it took */
        goto failed;
    }
    self->page_index = s[PAGE_INDEX].buf;
    self->pages = s[PAGES].buf;
    self->edges = s[EDGES].buf;
    self->fails = s[FAILS].buf;
    self->prior = s[PRIOR].buf;
    self->weights = s[WEIGHTS].buf;
    self->page_count = items(self, PAGES, 256);
    self->slots = items(self, EDGES, 8);
    self->rows = items(self, FAILS, 2);
    self->languages = items(self, PRIOR, 8);
    self->ngrams = items(self, WEIGHTS, sizeof *self->weights);
    int fit = fits(self, tables[0].len, tables[1].len, tables[2].len);
    if (fit) {
        memcpy(self->letters, tables[0].buf, LETTERS);
        memcpy(self->words, tables[1].buf, sizeof self->words);
        memcpy(self->known, tables[2].buf, WORDS);
        self->shift = 64;
        for (size_t slots = self->slots; slots > 1; slots /= 2) self->shift--;
    }
    for (int i = 0; i < 3; i++) PyBuffer_Release(&tables[i]);
    if (!fit) {
        PyErr_SetString(PyExc_ValueError, "the arrays do not fit one another");
        goto failed;
    }
    return (PyObject *)self;
failed:
    Py_DECREF(self);
    return NULL;
}

static void free_identifier(Identifier *self) {
    PyTypeObject *type = Py_TYPE(self);
    for (int i = 0; i < SECTIONS; i++)
        if (self->section[i].obj != NULL) PyBuffer_Release(&self->section[i]);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"read", (PyCFunction)read_text, METH_O, "read(text) -> letters, script, language in Arabic script"},
    {"probabilities", (PyCFunction)probabilities, METH_O, "probabilities(UTF-8) -> one for each language"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new_identifier}, {Py_tp_dealloc, free_identifier}, {Py_tp_methods, methods}, {0, NULL},
};

PyType_Spec identifier_spec = {"models.native.kernel.Identifier", sizeof(Identifier), 0, Py_TPFLAGS_DEFAULT, slots};
