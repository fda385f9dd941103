// BPFTesting
