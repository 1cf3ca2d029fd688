"""Numbers that stand for what a base or a boundary is: in codes, labels, classes of heads, rows of site tensors."""

PADDING = 5  # base code beyond the end of a window; 0..3 are A, C, G, T, 4 is unknown

NEITHER, CODING, INTRON = 0, 1, 4  # per-base classes; 1, 2, 3 are codon positions 0, 1, 2
NUM_CLASSES = 5
IGNORED = -100  # label of a base that nothing is known of: it may be anything

START_SITE, STOP_SITE, DONOR_SITE, ACCEPTOR_SITE = range(4)
NUM_SITES = 4
