/* Second-order sections over many channels at once: the loop of sections.py, compiled.
 *
 * Each sample of a channel waits for the one before it, so a loop that finishes one channel before it
 * begins the next leaves most of the processor idle. Here LANES channels go through together. Each channel
 * sees the additions and multiplications of the transposed direct form II in the order in which
 * scipy.signal.sosfilt does them, so the results have the same bits; the compiler must not contract them
 * into fused ones (-ffp-contract=off).
 */

#include <stddef.h>
#include <string.h>

enum { LANES = 16, CHUNK = 64, MOST_SECTIONS = 32 };

#if defined(__x86_64__) && defined(__gnu_linux__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
enum { WIDTH = 4 };
#else
#define FOR_EACH_PROCESSOR
enum { WIDTH = 2 };
#endif
#define INLINE static inline __attribute__((always_inline))

typedef double vector __attribute__((vector_size(8 * WIDTH)));
enum { VECTORS = LANES / WIDTH };
typedef vector lanes_t[VECTORS];

/* Which source this was compiled from: the CRC-32 of this file. */
unsigned source(void) { return SOURCE; }

/* Filter n samples of all lanes in place. coefficients : (sections, 6); state : (sections, 2) of lanes */
INLINE void cascade(int sections, const double *coefficients, lanes_t (*state)[2], lanes_t *samples, int n)
{
    lanes_t z[MOST_SECTIONS][2]; /* the compiler keeps it in registers where `sections` is a constant */
    memcpy(z, state, sections * sizeof *state);
    for (int i = 0; i < n; i++)
        for (int v = 0; v < VECTORS; v++) {
            vector in = samples[i][v];
            for (int s = 0; s < sections; s++) {
                const double *b = coefficients + 6 * s, *a = b + 3;
                vector out = b[0] * in + z[s][0][v];
                z[s][0][v] = b[1] * in - a[1] * out + z[s][1][v];
                z[s][1][v] = b[2] * in - a[2] * out;
                in = out;
            }
            samples[i][v] = in;
        }
    memcpy(state, z, sections * sizeof *state);
}

/* Copy n samples of the lanes side by side. */
INLINE void enter(double *to, const double *from, int lanes, int n, ptrdiff_t channel_step, ptrdiff_t sample_step)
{
    if (channel_step == 1 && lanes == LANES)
        for (int i = 0; i < n; i++) memcpy(to + i * LANES, from + i * sample_step, LANES * sizeof *to);
    else
        for (int l = 0; l < lanes; l++)
            for (int i = 0; i < n; i++) to[i * LANES + l] = from[i * sample_step + l * channel_step];
}

/* Copy n samples of the lanes back, each lane by itself. */
INLINE void leave(double *to, const double *from, int lanes, int n, ptrdiff_t channel_step)
{
    int i = 0;
    for (; i + 8 <= n; i += 8) /* whole cache lines of the target */
        for (int l = 0; l < lanes; l++)
            for (int k = 0; k < 8; k++) to[l * channel_step + i + k] = from[(i + k) * LANES + l];
    for (; i < n; i++)
        for (int l = 0; l < lanes; l++) to[l * channel_step + i] = from[i * LANES + l];
}

/* Filter (channels, n) samples, whose steps are given in doubles, into (channels, n) without gaps.
 *
 * coefficients : (sections, 6), sections at most MOST_SECTIONS
 * state : (channels, sections, 2), moves on; state_step doubles from channel to channel
 */
INLINE void one_cascade(int sections, const double *coefficients, const double *samples, ptrdiff_t channel_step,
                        ptrdiff_t sample_step, int channels, int n, double *state, ptrdiff_t state_step,
                        double *filtered)
{
    lanes_t x[CHUNK], z[MOST_SECTIONS][2];
    const ptrdiff_t states = 2 * (ptrdiff_t)sections;
    for (ptrdiff_t first = 0; first < channels; first += LANES) {
        const int lanes = channels - first < LANES ? (int)(channels - first) : LANES;
        memset(x, 0, sizeof x); /* lanes without a channel carry zeros */
        memset(z, 0, sections * sizeof *z);
        double *flat_x = (double *)x, *flat_z = (double *)z;
        for (int l = 0; l < lanes; l++)
            for (int k = 0; k < states; k++) flat_z[k * LANES + l] = state[(first + l) * state_step + k];
        for (ptrdiff_t begin = 0; begin < n; begin += CHUNK) {
            const int m = n - begin < CHUNK ? (int)(n - begin) : CHUNK;
            enter(flat_x, samples + first * channel_step + begin * sample_step, lanes, m, channel_step, sample_step);
            switch (sections) {
            case 1: cascade(1, coefficients, z, x, m); break;
            case 2: cascade(2, coefficients, z, x, m); break;
            case 3: cascade(3, coefficients, z, x, m); break;
            case 4: cascade(4, coefficients, z, x, m); break;
            default: cascade(sections, coefficients, z, x, m);
            }
            leave(filtered + first * n + begin, flat_x, lanes, m, n);
        }
        for (int l = 0; l < lanes; l++)
            for (int k = 0; k < states; k++) state[(first + l) * state_step + k] = flat_z[k * LANES + l];
    }
}

/* Run cascades side by side over the same samples.
 *
 * sections : of each cascade; coefficients : (all sections, 6); state : (channels, all sections, 2)
 * filtered : (cascades, channels, n)
 */
FOR_EACH_PROCESSOR
void filter(int cascades, const int *sections, const double *coefficients, const double *samples,
            ptrdiff_t channel_step, ptrdiff_t sample_step, int channels, int n, double *state, double *filtered)
{
    ptrdiff_t all = 0, before = 0;
    for (int c = 0; c < cascades; c++) all += sections[c];
    for (int c = 0; c < cascades; c++) {
        one_cascade(sections[c], coefficients + 6 * before, samples, channel_step, sample_step, channels, n,
                    state + 2 * before, 2 * all, filtered + (ptrdiff_t)c * channels * n);
        before += sections[c];
    }
}
