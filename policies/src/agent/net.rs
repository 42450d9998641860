//! A small neural network with its backward pass, and Adam: two hidden layers of rectified units.
//!
//! Plain sums in a fixed order, so that the bits are equal on every machine. A pass of a 16-64-64-1
//! network takes about 5,000 multiplications. Units that are 0 are passed over: about half.
//!
//! Source: Kingma and Ba, "Adam", ICLR 2015; initial weights by He et al., ICCV 2015.

use crate::splitmix::SplitMix64;

/// Layers with weights.
const LAYERS: usize = 3;

/// A network. Its parameters are one list: for each layer a row of weights for each of its inputs,
/// then the biases.
#[derive(Clone, Debug)]
pub(super) struct Net {
    /// Inputs, two numbers of hidden units, outputs.
    shape: [usize; LAYERS + 1],
    params: Vec<f64>,
}

/// What a forward pass leaves for the backward pass: the values of each layer.
pub(super) struct Pass([Vec<f64>; LAYERS + 1]);

impl Pass {
    /// The outputs, which are linear.
    pub(super) fn output(&self) -> &[f64] {
        &self.0[LAYERS]
    }
}

impl Net {
    /// A network with random weights, its outputs near 0.
    pub(super) fn new(shape: [usize; LAYERS + 1], draws: &mut SplitMix64) -> Self {
        let mut params = Vec::with_capacity(Self::params_of(shape));
        for layer in 0..LAYERS {
            let (inputs, outputs) = (shape[layer], shape[layer + 1]);
            let range = if layer + 1 == LAYERS {
                3e-3
            } else {
                (6.0 / inputs as f64).sqrt()
            };
            params.extend((0..inputs * outputs).map(|_| range * (2.0 * draws.fraction() - 1.0)));
            params.extend((0..outputs).map(|_| 0.0));
        }
        Self { shape, params }
    }

    /// The number of parameters of a network of this shape.
    fn params_of(shape: [usize; LAYERS + 1]) -> usize {
        (0..LAYERS).map(|at| (shape[at] + 1) * shape[at + 1]).sum()
    }

    pub(super) fn params(&self) -> &[f64] {
        &self.params
    }

    pub(super) fn params_mut(&mut self) -> &mut [f64] {
        &mut self.params
    }

    /// Moves the parameters by the share `rate` towards those of `other`.
    pub(super) fn follow(&mut self, other: &Self, rate: f64) {
        for (param, target) in self.params.iter_mut().zip(&other.params) {
            *param += rate * (target - *param);
        }
    }

    pub(super) fn forward(&self, input: &[f64]) -> Pass {
        let mut values = [input.to_vec(), Vec::new(), Vec::new(), Vec::new()];
        let mut start = 0;
        for layer in 0..LAYERS {
            let (inputs, outputs) = (self.shape[layer], self.shape[layer + 1]);
            let (weights, rest) = self.params[start..].split_at(inputs * outputs);
            let mut next = rest[..outputs].to_vec();
            for (row, value) in weights.chunks_exact(outputs).zip(&values[layer]) {
                if *value != 0.0 {
                    add(&mut next, *value, row);
                }
            }
            if layer + 1 < LAYERS {
                next.iter_mut().for_each(|sum| *sum = sum.max(0.0));
            }
            values[layer + 1] = next;
            start += (inputs + 1) * outputs;
        }
        Pass(values)
    }

    /// Adds to `gradient` that of the parameters, given that of the outputs, and returns that of
    /// the inputs.
    pub(super) fn backward(
        &self,
        pass: &Pass,
        output: &[f64],
        mut gradient: Option<&mut [f64]>,
    ) -> Vec<f64> {
        let mut outer = output.to_vec();
        let mut end = self.params.len();
        for layer in (0..LAYERS).rev() {
            let (inputs, outputs) = (self.shape[layer], self.shape[layer + 1]);
            let start = end - (inputs + 1) * outputs;
            let mut inner = vec![0.0; inputs];
            for (at, value) in pass.0[layer].iter().enumerate() {
                // A rectified unit that is 0 has no slope.
                if layer > 0 && *value <= 0.0 {
                    continue;
                }
                let row = start + at * outputs..start + (at + 1) * outputs;
                if let Some(gradient) = &mut gradient {
                    add(&mut gradient[row.clone()], *value, &outer);
                }
                let products = self.params[row].iter().zip(&outer);
                inner[at] = products.map(|(weight, slope)| weight * slope).sum();
            }
            if let Some(gradient) = &mut gradient {
                add(&mut gradient[end - outputs..end], 1.0, &outer);
            }
            outer = inner;
            end = start;
        }
        outer
    }
}

/// Adds `factor` times `numbers` to `sums`.
fn add(sums: &mut [f64], factor: f64, numbers: &[f64]) {
    for (sum, number) in sums.iter_mut().zip(numbers) {
        *sum += factor * number;
    }
}

/// Adam's moments for one network.
#[derive(Clone, Debug)]
pub(super) struct Adam {
    rate: f64,
    mean: Vec<f64>,
    square: Vec<f64>,
    /// What remains of the first values, which were 0, in either moment.
    remains: [f64; 2],
}

impl Adam {
    pub(super) fn new(rate: f64, params: usize) -> Self {
        Self {
            rate,
            mean: vec![0.0; params],
            square: vec![0.0; params],
            remains: [1.0; 2],
        }
    }

    /// Steps down `gradient`, of which no more than a norm of 1 counts.
    pub(super) fn descend(&mut self, params: &mut [f64], gradient: &[f64]) {
        let norm = gradient
            .iter()
            .map(|slope| slope * slope)
            .sum::<f64>()
            .sqrt();
        if !norm.is_finite() {
            return;
        }
        let scale = 1.0 / norm.max(1.0);
        self.remains[0] *= 0.9;
        self.remains[1] *= 0.999;
        let moments = self.mean.iter_mut().zip(&mut self.square);
        for ((param, slope), (mean, square)) in params.iter_mut().zip(gradient).zip(moments) {
            let slope = slope * scale;
            *mean += 0.1 * (slope - *mean);
            *square += 0.001 * (slope * slope - *square);
            let mean = *mean / (1.0 - self.remains[0]);
            let square = *square / (1.0 - self.remains[1]);
            *param -= self.rate * mean / (square.sqrt() + 1e-8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 4] = [3, 8, 8, 2];

    #[test]
    fn the_backward_pass_is_the_derivative() {
        let mut draws = SplitMix64::new(4);
        let mut net = Net::new(SHAPE, &mut draws);
        for param in net.params_mut() {
            *param += 0.2 * (draws.fraction() - 0.5);
        }
        let input = [0.3, -0.7, 1.1];
        // The loss is 2 a - b.
        let loss = |net: &Net, input: &[f64]| {
            let pass = net.forward(input);
            2.0 * pass.output()[0] - pass.output()[1]
        };
        let mut gradient = vec![0.0; net.params().len()];
        let inputs = net.backward(&net.forward(&input), &[2.0, -1.0], Some(&mut gradient));
        let step = 1e-6;
        for (at, expected) in gradient.iter().enumerate() {
            let mut moved = net.clone();
            moved.params_mut()[at] += step;
            let slope = (loss(&moved, &input) - loss(&net, &input)) / step;
            assert!((slope - expected).abs() < 1e-4, "{at}: {slope}");
        }
        for at in 0..3 {
            let mut moved = input;
            moved[at] += step;
            let slope = (loss(&net, &moved) - loss(&net, &input)) / step;
            assert!((slope - inputs[at]).abs() < 1e-4, "{at}: {slope}");
        }
    }

    #[test]
    fn it_learns_a_function_and_repeats_it_bit_for_bit() {
        let learn = || {
            let mut draws = SplitMix64::new(9);
            let mut net = Net::new([2, 32, 32, 1], &mut draws);
            let mut adam = Adam::new(3e-3, net.params().len());
            let mut error = 0.0;
            for turn in 0..3000 {
                let mut gradient = vec![0.0; net.params().len()];
                for _ in 0..8 {
                    let input = [draws.fraction(), draws.fraction()];
                    let pass = net.forward(&input);
                    let surprise = pass.output()[0] - input[0] * input[1];
                    net.backward(&pass, &[surprise / 8.0], Some(&mut gradient));
                    error += if turn >= 2900 {
                        surprise * surprise
                    } else {
                        0.0
                    };
                }
                adam.descend(net.params_mut(), &gradient);
            }
            (error / 800.0, net.params()[7])
        };
        let (error, param) = learn();
        assert!(error < 1e-3, "{error}");
        assert_eq!(learn(), (error, param));
    }
}
