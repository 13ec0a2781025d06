"""What pretrain, finetune and evaluate do with a training file in which no mistake was found."""
