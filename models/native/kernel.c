/* The scorer's inner loop: one pass over a text gives its decision values and the terms behind them.

   The arrays are those of models/arrays.py, which checks them when they are loaded. They may be a mapped file that
   someone writes to meanwhile, so every index is compared with its bound again where it is used: a changed file can
   change scores, never lead outside. There is no global state; scratch memory belongs to one call and is bounded by
   the longest text, which is cut at `longest` code points; the interpreter's lock is released while scoring. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#define INLINE static inline __attribute__((always_inline))
#else
#define FETCH(address) ((void)0)
#define INLINE static inline
#endif

enum { DELETED = 0, SPACE = 1, SAME = 2 };
static const uint32_t DIGIT = 1u << 31, NONE = 0xFFFFFFFFu;
static const uint64_t BASE = 0x9E3779B97F4A7C15u;

static const double LEAST = 0.0001; /* weights are given to four digits, as in models/explain.py */

enum { WORD_CHARS = 32, ZEROS = 5, LOGS = 1024, MOST_TERMS = 16, AHEAD = 8 };
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
    double log_plus_one[LOGS];
} Model;

typedef struct {
    uint64_t hash;
    uint32_t start, end; /* in the text */
    uint32_t letter, length; /* of the stem, in `letters` of the scratch */
    uint32_t number; /* in the model, NONE where it does not know the word */
    uint64_t slot, tried;
} Word;

typedef struct {
    uint64_t hash, slot, tried;
    uint32_t token; /* of the left word */
    uint32_t row;
} Pair;

enum { SINGLE, PAIR, MARK };

typedef struct {
    double value; /* tf-idf before the norm */
    uint32_t row, count, token;
    uint32_t kind;
} Feature;

typedef struct {
    uint32_t *letters;
    Word *words;
    Pair *pairs;
    Feature *features;
    uint32_t *seen;
    double *sums;
} Scratch;

INLINE uint64_t mix(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
}

INLINE uint64_t hash_of(const uint32_t *letters, size_t length) {
    uint64_t sum = 0;
    while (length > 0) sum = sum * BASE + letters[--length] + 1;
    return mix(sum);
}

INLINE const Row *row_at(const Model *model, uint32_t row) {
    return (const Row *)(model->rows + (size_t)row * model->stride);
}

INLINE uint32_t read_at(const void *data, int kind, size_t i) {
    return kind == 1 ? ((const uint8_t *)data)[i] : kind == 2 ? ((const uint16_t *)data)[i] : ((const uint32_t *)data)[i];
}

/* The folded characters of the code points that share all but their lowest eight bits; NULL if there are none. */
INLINE const uint32_t *page_of(const Model *model, uint32_t code) {
    size_t page = model->page_index[(code >> 8) % 0x1100];
    return page < model->page_count ? model->pages + (page << 8) : NULL;
}

INLINE uint32_t fold(const uint32_t *page, uint32_t code) {
    uint32_t folded = page != NULL ? page[code & 255] : SPACE;
    return folded == SAME ? code : folded;
}

/* models.text.stem, in place; returns the new length and moves *word past a prefix. */

enum {
    ALEF = 0x627, HEH = 0x647, TEH = 0x62A, BEH = 0x628, KAF = 0x643, FEH = 0x641,
    LAM = 0x644, NOON = 0x646, WAW = 0x648, YEH = 0x64A
};

static const uint32_t PREFIXES[7][4] = {
    {3, WAW, ALEF, LAM}, {3, BEH, ALEF, LAM}, {3, KAF, ALEF, LAM}, {3, FEH, ALEF, LAM},
    {3, WAW, LAM, LAM}, {2, ALEF, LAM, 0}, {2, LAM, LAM, 0},
};
static const uint32_t SUFFIXES[8][3] = {
    {2, HEH, ALEF}, {2, ALEF, NOON}, {2, ALEF, TEH}, {2, WAW, NOON}, {2, YEH, NOON}, {2, YEH, HEH}, {1, HEH, 0}, {1, YEH, 0},
};

INLINE size_t without_prefix(const uint32_t *word, size_t length) {
    for (int i = 0; i < 7; i++) {
        const uint32_t *prefix = PREFIXES[i];
        if (length < prefix[0] + 3) continue;
        if (word[0] == prefix[1] && word[1] == prefix[2] && (prefix[0] == 2 || word[2] == prefix[3])) return prefix[0];
    }
    return word[0] == WAW && length >= 5 ? 1 : 0;
}

INLINE size_t without_suffixes(const uint32_t *word, size_t length) {
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

INLINE size_t stem(uint32_t **word, size_t length, int digits) {
    if (digits) {
        length = length < ZEROS ? length : ZEROS;
        for (size_t i = 0; i < length; i++) (*word)[i] = '0';
        return length;
    }
    if ((*word)[0] >= 0x620 && (*word)[0] <= 0x6FF) {
        size_t prefix = without_prefix(*word, length);
        *word += prefix;
        length = without_suffixes(*word, length - prefix);
    } else if (is_plural(*word, length)) {
        length--;
    }
    return length < WORD_CHARS ? length : WORD_CHARS;
}

/* Text -> words, folded, stemmed and hashed. A word is a longest run of characters none of which is a space when
   folded; one that is deleted whole is none. */
INLINE size_t split(const Model *model, const Scratch *scratch, const void *data, int kind, size_t length) {
    uint32_t *first = scratch->letters, *next = first;
    size_t words = 0, start = 0;
    uint32_t digits = DIGIT;
    const uint32_t *latin = page_of(model, 0);
    for (size_t i = 0; i <= length; i++) {
        uint32_t folded = SPACE;
        if (i < length) {
            uint32_t code = read_at(data, kind, i);
            folded = fold(kind == 1 ? latin : page_of(model, code), code);
        }
        if (folded > SAME) {
            digits &= folded;
            *next++ = folded & ~DIGIT;
        } else if (folded == SPACE) {
            if (next > first) {
                uint32_t *word = first;
                size_t size = stem(&word, (size_t)(next - first), digits != 0);
                uint64_t hash = hash_of(word, size);
                FETCH(&model->word_slots[hash & model->word_mask]);
                scratch->words[words++] = (Word){hash, (uint32_t)start, (uint32_t)i,
                                                 (uint32_t)(word - scratch->letters), (uint32_t)size, NONE, 0, 0};
                first = next;
                digits = DIGIT;
            }
            start = i + 1;
        }
    }
    return words;
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

INLINE uint32_t next_pair(const Model *model, Pair *pair) {
    return next_entry(model->pair_slots, model->pair_mask, pair->hash, &pair->slot, &pair->tried);
}

INLINE int is_word(const Model *model, uint32_t number, const uint32_t *letters, size_t length) {
    if (number >= model->word_size - 2) return 0;
    const uint32_t *known = model->words + number;
    if (known[1] != length || length > model->word_size - 2 - number) return 0;
    size_t same = 0;
    while (same < length && known[2 + same] == letters[same]) same++;
    return same == length;
}

INLINE int is_pair(const Model *model, uint32_t row, uint32_t left, uint32_t right) {
    return row < model->terms && row_at(model, row)->left == left && row_at(model, row)->right == right;
}

/* Count `row`; `seen` is open addressing over the features by row, entry is feature + 1. */
INLINE size_t count(const Model *model, const Scratch *scratch, size_t features, size_t mask, uint32_t row,
                    uint32_t token, uint32_t kind) {
    size_t slot = (row * 2654435761u >> 7) & mask;
    while (scratch->seen[slot] != 0) {
        Feature *feature = &scratch->features[scratch->seen[slot] - 1];
        if (feature->row == row) {
            feature->count++;
            return features;
        }
        slot = (slot + 1) & mask;
    }
    FETCH(row_at(model, row));
    scratch->seen[slot] = (uint32_t)features + 1;
    scratch->features[features] = (Feature){0, row, 1, token, kind};
    return features + 1;
}

/* The features; `unknown` is the number of words that are no term. */
INLINE size_t find_terms(const Model *model, const Scratch *scratch, size_t words, const uint32_t *marks,
                         size_t mark_length, size_t *unknown) {
    size_t mark_count = 0, features = 0, pairs = 0, known = 0, size = 8;
    for (size_t i = 0; i < mark_length; i++) mark_count += marks[i] == '\n';
    while (size < 2 * (2 * words + mark_count)) size *= 2;
    memset(scratch->seen, 0, size * sizeof(uint32_t));
    size_t mask = size - 1;
    for (size_t i = 0; i < words; i++) {
        Word *word = &scratch->words[i];
        word->slot = word->hash & model->word_mask;
        word->number = next_word(model, word);
        if (word->number < model->word_size) FETCH(model->words + word->number);
    }
    for (size_t i = 0; i < words; i++) {
        Word *word = &scratch->words[i];
        const uint32_t *letters = scratch->letters + word->letter;
        while (word->number != NONE && !is_word(model, word->number, letters, word->length)) {
            word->number = next_word(model, word);
        }
        if (word->number == NONE) continue;
        uint32_t row = model->words[word->number];
        if (row < model->terms) features = count(model, scratch, features, mask, row, (uint32_t)i, SINGLE), known++;
        if (i == 0 || word[-1].number == NONE) continue;
        uint64_t hash = mix((uint64_t)word[-1].number << 32 | word->number);
        FETCH(&model->pair_slots[hash & model->pair_mask]);
        scratch->pairs[pairs++] = (Pair){hash, hash & model->pair_mask, 0, (uint32_t)i - 1, NONE};
    }
    for (size_t i = 0; i < pairs; i++) {
        Pair *pair = &scratch->pairs[i];
        pair->row = next_pair(model, pair);
        if (pair->row < model->terms) FETCH(row_at(model, pair->row));
    }
    for (size_t i = 0; i < pairs; i++) {
        Pair *pair = &scratch->pairs[i];
        const Word *word = &scratch->words[pair->token];
        while (pair->row != NONE && !is_pair(model, pair->row, word[0].number, word[1].number)) {
            pair->row = next_pair(model, pair);
        }
        if (pair->row != NONE) features = count(model, scratch, features, mask, pair->row, pair->token, PAIR);
    }
    *unknown = words - known;
    size_t start = 0;
    for (size_t i = 0; i < mark_length; i++) {
        if (marks[i] != '\n') continue;
        uint64_t hash = hash_of(marks + start, i - start);
        Word mark = {hash, 0, 0, 0, 0, NONE, hash & model->word_mask, 0};
        do mark.number = next_word(model, &mark);
        while (mark.number != NONE && !is_word(model, mark.number, marks + start, i - start));
        uint32_t row = mark.number != NONE ? model->words[mark.number] : NONE;
        if (row < model->terms) features = count(model, scratch, features, mask, row, 0, MARK);
        start = i + 1;
    }
    return features;
}

/* The sums of the weights, into `sums`; returns that of the squared values. */
INLINE double add_up(const Model *model, const Scratch *scratch, size_t features, double *sums, size_t groups) {
    double squares = 0;
    for (size_t c = 0; c < 4 * groups; c++) sums[c] = 0;
    for (size_t i = 0; i < features; i++) {
        Feature *feature = &scratch->features[i];
        const Row *row = row_at(model, feature->row);
        double tf = feature->count < LOGS ? model->log_plus_one[feature->count] : 1 + log((double)feature->count);
        double value = tf * row->idf;
        feature->value = value;
        squares += value * value;
        for (size_t group = 0; group < groups; group++) {
            double *sum = sums + 4 * group;
            const float *weight = row->weight + 4 * group;
            for (int c = 0; c < 4; c++) sum[c] += value * (double)weight[c];
        }
    }
    return squares;
}

/* Decision values, and the norm of the tf-idf row (0 without a known term). */
static double decide(const Model *model, const Scratch *scratch, size_t features, double *decision) {
    size_t classes = model->classes, groups = (classes + 3) / 4;
    double squares, few[8], *sums = scratch->sums;
    if (groups == 1) { /* four and eight sums stay in registers */
        squares = add_up(model, scratch, features, sums = few, 1);
    } else if (groups == 2) {
        squares = add_up(model, scratch, features, sums = few, 2);
    } else {
        squares = add_up(model, scratch, features, sums, groups);
    }
    double norm = sqrt(squares);
    for (size_t c = 0; c < classes; c++) decision[c] = (norm > 0 ? sums[c] / norm : 0) + model->intercept[c];
    return norm;
}

/* A term of a text: where its left and its right word stand (-1 for none), how far it moved the decision. */
typedef struct {
    double moved;
    int32_t left_start, left_end, right_start, right_end;
} Shown;

/* The terms that moved the decision most towards the best class and away from the second, strongest first; returns
   how many. */
static size_t explain(const Model *model, const Scratch *scratch, size_t features, const double *decision, double norm,
                      size_t most, Shown *shown) {
    size_t best = 0, second = 0, found = 0;
    uint32_t chosen[MOST_TERMS];
    if (most == 0) return 0;
    if (model->classes > 1) {
        for (size_t c = 1; c < model->classes; c++)
            if (decision[c] > decision[best]) best = c;
        second = best == 0;
        for (size_t c = 0; c < model->classes; c++)
            if (c != best && decision[c] > decision[second]) second = c;
    }
    for (size_t i = 0; i < features; i++) {
        const Feature *feature = &scratch->features[i];
        if (feature->kind == MARK) continue;
        const Row *row = row_at(model, feature->row);
        float weight = model->classes > 1 ? row->weight[best] - row->weight[second] : row->weight[0];
        if (!(weight > 0)) continue; /* saves half of the divisions: idf is positive, and so is every value */
        double by = feature->value / norm * (double)weight;
        if (!(by >= LEAST)) continue;
        size_t place = found < most ? found++ : most;
        while (place > 0 && (by > shown[place - 1].moved ||
                             (by == shown[place - 1].moved &&
                              feature->row < scratch->features[chosen[place - 1]].row))) {
            place--;
        }
        if (place >= most) continue;
        for (size_t j = found - 1; j > place; j--) shown[j] = shown[j - 1], chosen[j] = chosen[j - 1];
        shown[place].moved = by;
        chosen[place] = (uint32_t)i;
    }
    for (size_t j = 0; j < found; j++) {
        const Feature *feature = &scratch->features[chosen[j]];
        const Word *word = &scratch->words[feature->token];
        int pair = feature->kind == PAIR;
        shown[j] = (Shown){shown[j].moved, (int32_t)word->start, (int32_t)word->end,
                           pair ? (int32_t)word[1].start : -1, pair ? (int32_t)word[1].end : -1};
    }
    return found;
}

typedef struct {
    const void *data;
    size_t length;
    int kind;
} Text;

static size_t words_of(const Model *model, const Scratch *scratch, Text text) {
    /* One copy of the loop for each width of character. */
    if (text.kind == 1) return split(model, scratch, text.data, 1, text.length);
    if (text.kind == 2) return split(model, scratch, text.data, 2, text.length);
    return split(model, scratch, text.data, 4, text.length);
}

static int allocate(Scratch *scratch, size_t length, size_t mark_length, size_t classes) {
    size_t words = length / 2 + 1, features = 2 * words + mark_length, seen = 8;
    while (seen < 2 * features) seen *= 2;
    /* One by one, so that AddressSanitizer sees where each ends. */
    scratch->letters = PyMem_RawMalloc((length + mark_length) * sizeof(uint32_t));
    scratch->words = PyMem_RawMalloc(words * sizeof(Word));
    scratch->pairs = PyMem_RawMalloc(words * sizeof(Pair));
    scratch->features = PyMem_RawMalloc(features * sizeof(Feature));
    scratch->seen = PyMem_RawMalloc(seen * sizeof(uint32_t));
    scratch->sums = PyMem_RawMalloc((classes + 3) / 4 * 4 * sizeof(double));
    return scratch->letters != NULL && scratch->words != NULL && scratch->pairs != NULL &&
                   scratch->features != NULL && scratch->seen != NULL && scratch->sums != NULL
               ? 0
               : -1;
}

static void release(Scratch *scratch) {
    PyMem_RawFree(scratch->letters);
    PyMem_RawFree(scratch->words);
    PyMem_RawFree(scratch->pairs);
    PyMem_RawFree(scratch->features);
    PyMem_RawFree(scratch->seen);
    PyMem_RawFree(scratch->sums);
}

static int text_of(PyObject *object, size_t longest, Text *text) {
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "texts and marks are str, not %.100s", Py_TYPE(object)->tp_name);
        return -1;
    }
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(object) < 0) return -1;
#endif
    size_t length = (size_t)PyUnicode_GET_LENGTH(object);
    *text = (Text){PyUnicode_DATA(object), length < longest ? length : longest, (int)PyUnicode_KIND(object)};
    return 0;
}

/* The words of a term as the text writes them, a space between two. */
static PyObject *surface(PyObject *text, const Shown *shown) {
    PyObject *left = PyUnicode_Substring(text, shown->left_start, shown->left_end);
    if (left == NULL || shown->right_start < 0) return left;
    PyObject *right = PyUnicode_Substring(text, shown->right_start, shown->right_end);
    PyObject *both = right != NULL ? PyUnicode_FromFormat("%U %U", left, right) : NULL;
    Py_DECREF(left);
    Py_XDECREF(right);
    return both;
}

/* round(value, 4), as Python rounds. */
static PyObject *rounded(double value) {
    char *digits = PyOS_double_to_string(value, 'f', 4, 0, NULL);
    if (digits == NULL) return NULL;
    value = PyOS_string_to_double(digits, NULL, NULL);
    PyMem_Free(digits);
    return PyErr_Occurred() ? NULL : PyFloat_FromDouble(value);
}

/* A models.explain.Term, which is a tuple. */
static PyObject *term_of(PyTypeObject *type, PyObject *text, const Shown *shown) {
    PyObject *word = surface(text, shown), *by = rounded(shown->moved), *term = NULL;
    PyObject *args = word != NULL && by != NULL ? Py_BuildValue("((OO))", word, by) : NULL;
    if (args != NULL) term = PyTuple_Type.tp_new(type, args, NULL);
    Py_XDECREF(args);
    Py_XDECREF(word);
    Py_XDECREF(by);
    return term;
}

static PyObject *terms_of(PyTypeObject *type, PyObject *text, const Shown *shown, size_t found) {
    PyObject *terms = PyList_New((Py_ssize_t)found);
    for (size_t j = 0; terms != NULL && j < found; j++) {
        PyObject *term = term_of(type, text, &shown[j]);
        if (term == NULL) Py_CLEAR(terms);
        else PyList_SET_ITEM(terms, (Py_ssize_t)j, term);
    }
    return terms;
}

static PyObject *score(Model *model, PyObject *args) {
    PyObject *texts, *marks, *result = NULL;
    PyTypeObject *type;
    Py_buffer out[2]; /* decision; counts of words, of terms and of unknown words */
    Py_ssize_t most;
    if (!PyArg_ParseTuple(args, "O!O!w*w*nO!", &PyTuple_Type, &texts, &PyTuple_Type, &marks, &out[0], &out[1], &most,
                          &PyType_Type, &type)) {
        return NULL;
    }
    Text *all = NULL;
    Shown *shown = NULL;
    size_t *found = NULL;
    Scratch scratch = {0};
    size_t n = (size_t)PyTuple_GET_SIZE(texts);
    if ((size_t)PyTuple_GET_SIZE(marks) != n || (size_t)out[0].len != n * model->classes * sizeof(double) ||
        (size_t)out[1].len != n * 3 * sizeof(int64_t) || most < 0 || most > MOST_TERMS ||
        !PyType_IsSubtype(type, &PyTuple_Type)) {
        PyErr_SetString(PyExc_ValueError, "texts, marks and results do not fit one another");
        goto done;
    }
    all = PyMem_New(Text, 2 * n + 1);
    shown = PyMem_New(Shown, n * (size_t)most + 1);
    found = PyMem_New(size_t, n + 1);
    if (all == NULL || shown == NULL || found == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    size_t length = 0, mark_length = 0;
    for (size_t i = 0; i < n; i++) {
        if (text_of(PyTuple_GET_ITEM(texts, (Py_ssize_t)i), model->longest, &all[2 * i]) < 0) goto done;
        if (text_of(PyTuple_GET_ITEM(marks, (Py_ssize_t)i), model->longest, &all[2 * i + 1]) < 0) goto done;
        if (all[2 * i].length > length) length = all[2 * i].length;
        if (all[2 * i + 1].length > mark_length) mark_length = all[2 * i + 1].length;
    }
    if (allocate(&scratch, length, mark_length, model->classes) < 0) {
        PyErr_NoMemory();
        goto done;
    }
    double *decision = out[0].buf;
    int64_t *counts = out[1].buf;
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < n; i++) {
        Text text = all[2 * i], marked = all[2 * i + 1];
        size_t words = words_of(model, &scratch, text);
        uint32_t *mark = scratch.letters + length;
        for (size_t j = 0; j < marked.length; j++) mark[j] = read_at(marked.data, marked.kind, j);
        size_t unknown, features = find_terms(model, &scratch, words, mark, marked.length, &unknown);
        double norm = decide(model, &scratch, features, decision);
        found[i] = explain(model, &scratch, features, decision, norm, (size_t)most, shown + i * (size_t)most);
        counts[0] = (int64_t)words;
        counts[1] = (int64_t)features;
        counts[2] = (int64_t)unknown;
        decision += model->classes, counts += 3;
    }
    Py_END_ALLOW_THREADS
    result = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; result != NULL && i < n; i++) {
        PyObject *text = PyTuple_GET_ITEM(texts, (Py_ssize_t)i);
        PyObject *terms = terms_of(type, text, shown + i * (size_t)most, found[i]);
        if (terms == NULL) Py_CLEAR(result);
        else PyList_SET_ITEM(result, (Py_ssize_t)i, terms);
    }
done:
    release(&scratch);
    PyMem_Free(all);
    PyMem_Free(shown);
    PyMem_Free(found);
    PyBuffer_Release(&out[0]);
    PyBuffer_Release(&out[1]);
    return result;
}

/* models.keyterms.key_terms, which the names and numbers below are from. What is read of an article is bounded before
   anything is allocated. The interpreter's lock is kept: it is held for less time than taking it back may need. */

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

static PyObject *key_terms(Model *model, PyObject *args) {
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

static size_t items(const Model *model, int section, size_t size) {
    return (size_t)model->section[section].len / size;
}

static int is_power_of_two(size_t n) { return n > 0 && n <= (size_t)1 << 31 && (n & (n - 1)) == 0; }

static PyObject *new_model(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    Model *model = (Model *)type->tp_alloc(type, 0);
    if (model == NULL) return NULL;
    Py_buffer *s = model->section;
    Py_ssize_t longest;
    if (keywords != NULL && PyDict_GET_SIZE(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "Model takes no keyword arguments");
        goto failed;
    }
    if (!PyArg_ParseTuple(args, "ny*y*y*y*y*y*y*", &longest, &s[0], &s[1], &s[2], &s[3], &s[4], &s[5], &s[6])) {
        memset(s, 0, sizeof model->section); /* a failed parse has released what it took */
        goto failed;
    }
    model->page_index = s[PAGE_INDEX].buf;
    model->pages = s[PAGES].buf;
    model->words = s[WORDS].buf;
    model->word_slots = s[WORD_SLOTS].buf;
    model->pair_slots = s[PAIR_SLOTS].buf;
    model->rows = s[ROWS].buf;
    model->intercept = s[INTERCEPT].buf;
    model->longest = (size_t)longest;
    model->page_count = items(model, PAGES, 4 * 256);
    model->word_size = items(model, WORDS, 4);
    model->classes = items(model, INTERCEPT, 8);
    model->stride = sizeof(Row) + (model->classes + 3) / 4 * 4 * sizeof(float);
    model->terms = items(model, ROWS, model->stride);
    size_t word_slots = items(model, WORD_SLOTS, 8), pair_slots = items(model, PAIR_SLOTS, 8);
    model->word_mask = word_slots - 1;
    model->pair_mask = pair_slots - 1;
    int aligned = 1;
    for (int i = 0; i < SECTIONS; i++) aligned &= (uintptr_t)s[i].buf % 8 == 0;
    if (!aligned || longest < 1 || longest > 1 << 28 || model->classes < 1 || model->classes > 256 || model->terms < 1 ||
        model->terms >= NONE || model->word_size < 3 || model->word_size >= NONE || model->terms * model->stride != (size_t)s[ROWS].len ||
        items(model, PAGE_INDEX, 2) != 0x1100 || s[PAGES].len % 1024 != 0 ||
        !is_power_of_two(word_slots) || !is_power_of_two(pair_slots)) {
        PyErr_SetString(PyExc_ValueError, "the arrays do not fit one another");
        goto failed;
    }
    for (int i = 1; i < LOGS; i++) model->log_plus_one[i] = 1 + log((double)i);
    return (PyObject *)model;
failed:
    Py_DECREF(model);
    return NULL;
}

static void free_model(Model *model) {
    PyTypeObject *type = Py_TYPE(model);
    for (int i = 0; i < SECTIONS; i++)
        if (model->section[i].obj != NULL) PyBuffer_Release(&model->section[i]);
    type->tp_free(model);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"score", (PyCFunction)score, METH_VARARGS, "score(texts, marks, decision, counts, most, Term) -> explanations"},
    {"key_terms", (PyCFunction)key_terms, METH_VARARGS, "key_terms(title, body, most, known) -> key terms"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new_model}, {Py_tp_dealloc, free_model}, {Py_tp_methods, methods}, {0, NULL},
};

static PyType_Spec spec = {"models.native.kernel.Model", sizeof(Model), 0, Py_TPFLAGS_DEFAULT, slots};

static int fill(PyObject *module) {
    PyObject *type = PyType_FromSpec(&spec);
    if (type == NULL) return -1;
    int failed = PyModule_AddObjectRef(module, "Model", type);
    Py_DECREF(type);
    return failed;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "kernel", "Scoring in C; see models/scorer.py.", 0, NULL, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_kernel(void) { return PyModuleDef_Init(&module); }
